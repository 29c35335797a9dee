"""Pictures and masks: decoding and encoding, mask algebra, crops with their exact inverse, blending."""
