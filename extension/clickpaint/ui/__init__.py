"""The page: Gradio around the canvas."""
