"""The page: sample a still, compare it with patients, animate it. The only importer of gradio, whose queue and API it uses."""
