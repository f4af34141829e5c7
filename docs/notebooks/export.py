# %% [markdown]
# # Export
#
# A set leaves in the form that the next program reads. Only sets that are known to be synthetic are exported.

# %%
import subprocess
import tarfile
from pathlib import Path

import echosyn

subprocess.run("echosyn phantom hearts --num 6 --frames 64 --fps 32 --seed 51 --quiet", shell=True, check=True)

# %% [markdown]
# PyTorch: no export; `clips` is a `Dataset`. One video: `save` writes AVI, MP4 or GIF.

# %%
dataset = echosyn.load_dataset("hearts")
clip, ef = dataset.clips(num_frames=16, period=2)[0]
print(tuple(clip.shape), ef)
dataset[0].save("heart.gif")

# %% [markdown]
# Segmentation: end-diastolic and end-systolic frames with the left ventricle as a mask, in nnU-Net's raw layout.

# %%
subprocess.run("echosyn export hearts Dataset701_Hearts --to nnunet --quiet", shell=True, check=True)
print(*sorted(str(path) for path in Path("Dataset701_Hearts").rglob("*.png"))[:2], sep="\n")

# %% [markdown]
# Training from streams: WebDataset's shards, one sample a video, a folder a split.

# %%
subprocess.run("echosyn export hearts shards --to webdataset --quiet", shell=True, check=True)
with tarfile.open("shards/train-000000.tar") as shard:
    print(shard.getnames()[:2])

# %% [markdown]
# For sharing: a sealed release with MP4s, cards and hashes, which Hugging Face's `datasets` loads.

# %%
words = "I know that nobody audited these videos"
subprocess.run(
    ["echosyn", "publish", "hearts", "release", "--licence", "cc0-1.0", "--without-audit", words, "--quiet"], check=True
)
print(*sorted(path.name for path in Path("release").iterdir()))
