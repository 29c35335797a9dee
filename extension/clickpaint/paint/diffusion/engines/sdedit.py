"""SDEdit: the picture with some noise, and from there what the prompt says."""

from __future__ import annotations

from clickpaint.paint.diffusion.engines.inpaint import Inpaint


class SDEdit(Inpaint):
    """After Meng et al. (2022): image to image, in the mask or in the whole picture, with every sampler and checkpoint that `Inpaint`
    takes. The strength says how much noise, and so how much of the picture is let go."""

    name = "sdedit"
