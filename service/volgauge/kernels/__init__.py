"""Arrays in, numbers out: one file per mathematical idea, compiled by numba."""


def is_cold() -> bool:
    """Whether `warm` has to compile the large kernel: half a minute, most of it under the GIL."""
    from volgauge.kernels._jit import is_kept  # noqa: PLC0415 - numba takes 0.3 s to import
    from volgauge.kernels.evaluate import evaluate_expiries  # noqa: PLC0415

    return not is_kept(evaluate_expiries)


def warm() -> int:
    """Compile every kernel for the types of production, or load it from the cache.

    Returns:
        Compiled signatures; the number must not rise after this.
    """
    from volgauge.kernels._jit import compiled_count  # noqa: PLC0415 - numba takes 0.3 s to import
    from volgauge.kernels.changes import warm_up as warm_up_changes  # noqa: PLC0415
    from volgauge.kernels.evaluate import warm_up  # noqa: PLC0415
    from volgauge.kernels.exposure import warm_up as warm_up_exposure  # noqa: PLC0415
    from volgauge.kernels.flow import warm_up as warm_up_flow  # noqa: PLC0415
    from volgauge.kernels.hayashi import warm_up as warm_up_hayashi  # noqa: PLC0415
    from volgauge.kernels.implied import warm_up as warm_up_implied  # noqa: PLC0415
    from volgauge.kernels.readings import warm_up as warm_up_readings  # noqa: PLC0415

    warm_up()
    warm_up_changes()
    warm_up_hayashi()
    warm_up_implied()
    warm_up_readings()
    warm_up_exposure()
    warm_up_flow()
    return compiled_count()
