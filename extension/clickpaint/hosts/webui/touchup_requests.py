"""What API clients ask of the touch-up, looked at before the web UI generates: what a script raises later, the web UI only logs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from clickpaint.errors import InvalidInput

_ADDRESSES = ("/sdapi/v1/txt2img", "/sdapi/v1/img2img")


def check(app: Any, title: str) -> None:
    """Let the web UI's two routes that generate answer 422, with the names that there are, where the arguments of our script are wrong.

    Args:
        app: the web UI's FastAPI app, whose routes are there already; without an API there are none.
        title: of our script, as clients name it.
    """
    for route in app.routes:
        dependant = getattr(route, "dependant", None)
        # the routes' own objects are kept: they ask for the API's passwords
        if dependant is not None and route.path in _ADDRESSES and not hasattr(dependant.call, "__wrapped__"):
            dependant.call = _checked(dependant.call, title.lower())


def _checked(generate: Callable[..., Any], title: str) -> Callable[..., Any]:
    @functools.wraps(generate)
    def checked(*args: Any, **kwargs: Any) -> Any:
        for request in (*args, *kwargs.values()):
            scripts = getattr(request, "alwayson_scripts", None)
            if isinstance(scripts, Mapping):
                for name, given in scripts.items():
                    if str(name).lower() == title and isinstance(given, Mapping):
                        _look_at(given.get("args"))
        return generate(*args, **kwargs)

    return checked


def _look_at(values: Any) -> None:
    from fastapi import HTTPException

    from clickpaint.erase.registry import ERASERS
    from clickpaint.paint.touchup_job import touch_up_from

    if values is None:
        return
    if not isinstance(values, (list, tuple)):
        raise HTTPException(422, 'The arguments of Clickpaint are no list: send [{"task": "remove"}], or the values in their order.')
    try:
        touch_up = touch_up_from(values)
        if touch_up is not None and touch_up.task == "remove" and touch_up.eraser not in ("auto", *ERASERS):
            raise InvalidInput(
                "There is no eraser {eraser!r}.",
                "Choose one of auto, {erasers}.",
                eraser=touch_up.eraser,
                erasers=", ".join(ERASERS),
            )
    except InvalidInput as error:
        raise HTTPException(422, str(error)) from None
