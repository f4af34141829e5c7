# %% [markdown]
# # Audit a set
#
# Two sets against the same recordings: one of strangers, one that holds three copies. Few patients keep this short; with them an
# audit finds copies, but its threshold is rough, a stranger may cross it, and neither set passes. A verdict that can be relied on
# takes 100 held-out patients and 73 canaries.

# %%
import json
import shutil
import subprocess
from pathlib import Path

from echosyn import audit, weights

phantom = "echosyn phantom {} --num {} --frames 64 --fps 32 --seed {} --quiet"
subprocess.run(phantom.format("recordings", 24, 31), shell=True, check=True)
subprocess.run(phantom.format("strangers", 4, 32), shell=True, check=True)

# %% [markdown]
# The memoriser: three of its videos are recordings of TRAIN patients under another name.

# %%
shutil.copytree("strangers", "memorised")
copies, targets = (sorted(Path(name, "Videos").iterdir())[:3] for name in ("recordings", "memorised"))
for source, target in zip(copies, targets, strict=True):
    shutil.copyfile(source, target)

# %% [markdown]
# The VAE and the re-identification model are the attacker's eyes. Those that ship are for phantoms; for your recordings train
# your own. `videos_only` leaves out the attacks on the weights of generators, which another software's set has not.

# %%
eyes = {"models": weights.shipped(), "dataset": "a4c", "videos_only": True, "canaries": 1}
innocent = audit("strangers", "recordings", "audit-strangers", **eyes)
innocent

# %%
guilty = audit("memorised", "recordings", "audit-memorised", **eyes)
guilty

# %% [markdown]
# Who was copied is in the private part, for the custodian alone.

# %%
print(json.loads(Path("audit-memorised/audit.json").read_text())["private"]["too_close"])
assert guilty.figures["videos too close"] >= 3
