"""The page: make a heart, check that it is nobody's, make it beat. The only importer of gradio, whose queue and API it uses."""
