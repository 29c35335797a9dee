"""Faces: MediaPipe's meshes, and what adapters for identities would need beside `identity`."""

from __future__ import annotations

import numpy as np

from clickpaint.control.base import ControlMap, Parameter, Preprocessor, Request, Tools
from clickpaint.control.controlnet_aux_modules import module
from clickpaint.control.resize import working
from clickpaint.errors import ModelMissing


def mediapipe_face(pixels: np.ndarray, request: Request, tools: Tools) -> ControlMap:
    """Contours of faces (Kartynnik et al. 2019, "Real-time Facial Surface Geometry"), by the network within the package."""
    annotations = module("mediapipe_face.mediapipe_face_common")
    if annotations.mp is None or not hasattr(annotations.mp, "solutions"):
        raise ModelMissing("The installed mediapipe has no face meshes.", "Install mediapipe 0.10.21, the last one that has them.")
    at = working(pixels, request.resolution)
    tools.progress.report(None, "Looking at the picture")
    meshes = annotations.generate_annotation(np.array(at.pixels), int(request.values["faces"]), request.values["confidence"])
    return ControlMap(np.ascontiguousarray(at.crop(meshes)))


PREPROCESSORS = (
    Preprocessor(
        "mediapipe_face", "mediapipe_face", (), mediapipe_face,
        packages=("mediapipe", "controlnet_aux"), control_models=("mediapipe_face",),
        parameters=(Parameter("faces", "Max Faces", 1, 10, 1, 1), Parameter("confidence", "Min Face Confidence", 0.01, 1.0, 0.01, 0.5)),
    ),
    *(
        Preprocessor(
            name, name, types, None, resolution=None, returns="embedding", control_models=models, reason=reason, instead=instead
        )
        for name, types, models, reason, instead in (
            (
                "ip-adapter_face_id_plus", ("IP-Adapter",), ("face_id", "faceid"),
                "gives two embeddings, of which a map has one", "ip-adapter_face_id and ip-adapter_clip_h",
            ),
            (
                "ip-adapter_pulid", ("IP-Adapter",), ("pulid",),
                "makes features of a face that only PuLID's adapter within sd-webui-controlnet reads", "ip-adapter_face_id",
            ),
            (
                "ip-adapter-auto", ("IP-Adapter",), ("ip-adapter", "ip_adapter"),
                "chooses by the adapter's model, which only sd-webui-controlnet knows while it samples", "that model's ip-adapter_clip",
            ),
            ("facexlib", (), (), "is a step of ip-adapter_pulid, which cannot run", "ip-adapter_face_id"),
        )
    ),
)  # fmt: skip
