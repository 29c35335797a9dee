"""Faces: MediaPipe's meshes, and what adapters for identities would need."""

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
    found = annotations.generate_annotation(np.array(at.pixels), int(request.values["faces"]), request.values["confidence"])
    return ControlMap(np.ascontiguousarray(at.crop(found)))


_INSIGHTFACE = "needs insightface's networks, which may be used for research only and are not part of this program"

PREPROCESSORS = (
    Preprocessor(
        "mediapipe_face", "mediapipe_face", (), mediapipe_face,
        packages=("mediapipe", "controlnet_aux"), control_models=("mediapipe_face",),
        parameters=(Parameter("faces", "Max Faces", 1, 10, 1, 1), Parameter("confidence", "Min Face Confidence", 0.01, 1.0, 0.01, 0.5)),
    ),
    *(
        Preprocessor(
            name, name, types, None, resolution=None, returns="map" if name.endswith("keypoints") else "embedding",
            control_models=models, reason=reason,
        )
        for name, types, models, reason in (
            ("instant_id_face_embedding", ("Instant-ID",), ("instant_id",), f"{_INSIGHTFACE}; take an ip-adapter_clip instead"),
            ("instant_id_face_keypoints", ("Instant-ID",), ("instant_id",), f"{_INSIGHTFACE}; take openpose_faceonly instead"),
            ("ip-adapter_face_id", ("IP-Adapter",), ("face_id", "faceid"), f"{_INSIGHTFACE}; take ip-adapter_clip_h instead"),
            ("ip-adapter_face_id_plus", ("IP-Adapter",), ("face_id", "faceid"), f"{_INSIGHTFACE}; take ip-adapter_clip_h instead"),
            (
                "ip-adapter_pulid", ("IP-Adapter",), ("pulid",),
                f"{_INSIGHTFACE}, and EVA02-CLIP's and facexlib's; take ip-adapter_clip_g instead",
            ),
            (
                "ip-adapter-auto", ("IP-Adapter",), ("ip-adapter", "ip_adapter"),
                "chooses by the adapter's model, which only sd-webui-controlnet knows while it samples; take that model's ip-adapter_clip",
            ),
            ("facexlib", (), (), "is a step of ip-adapter_pulid, which cannot run here"),
        )
    ),
)  # fmt: skip
