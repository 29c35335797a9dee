"""Clickpaint: click on anything in a picture, then remove it, fill it, replace what is around it, or describe it.

Importing the package does nothing: no torch, no cv2, no gradio. Heavy libraries are imported in the function that needs them.
"""

__version__ = "0.1.0"
