# %% [markdown]
# # Generate and look
#
# The models that ship have seen phantoms only. Each cell's last line shows itself: a table, or a moving picture.

# %%
import echosyn

pipeline = echosyn.load_pipeline(view="a4c")
pipeline.sample(seed=3)  # a still, and what the privacy filter says of it

# %% [markdown]
# The same heart with two ejection fractions: `ef` changes, `seed` stays.

# %%
failing = pipeline(ef=25, seed=3)
failing

# %%
healthy = pipeline(ef=65, seed=3)
healthy

# %% [markdown]
# What tracking the left ventricle measures follows what was asked.

# %%
print({video.ef: video.measured_ef for video in (failing, healthy)})
assert failing.measured_ef < healthy.measured_ef

# %% [markdown]
# A dataset: a folder in EchoNet-Dynamic's layout, and in Python a sequence of videos.

# %%
made = echosyn.generate("generated", num=2, num_frames=64, ef="30..60", seed=1)
made

# %%
video = made.dataset[0]
print(video.frames.shape, video.frames.dtype, video.fps, video.ef)
video.save("first.mp4")
