"""What went wrong, in the words of a statistician. The full trace is kept beside it, in the run."""

from __future__ import annotations

import errno

import numpy as np

from templates_engine.problems import Refused


def sentence(error: BaseException) -> str:
    """One or two sentences on what happened and what may help."""
    if isinstance(error, Refused):
        return "\n".join(problem.line() for problem in error.problems)
    text = str(error).strip().split("\n")[0][:300]
    lower = text.lower()
    if isinstance(error, MemoryError):
        return (
            "The computer's memory was not enough. Fewer stored iterations (or more thinning), fewer chains or a "
            "smaller dataset need less."
        )
    if isinstance(error, np.linalg.LinAlgError) or "positive definite" in lower or "singular matrix" in lower:
        return (
            "A covariance matrix could not be inverted or factorised. Usually explanatory variables are linear "
            "combinations of one another (for instance all the dummies and cons), or there is too little data for "
            "the covariances asked for. Leave out a variable or a random effect and try again."
        )
    if isinstance(error, ZeroDivisionError | OverflowError | FloatingPointError):
        return (
            "The calculation left the range of numbers that a computer can hold. Usually a variable has a very large "
            f"scale or the model is hardly determined by the data: standardise the variables. ({text})"
        )
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return "The process that carried it out was stopped."
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
        return (
            f"Its outputs could not be written ({error.strerror}). Those that are listed are whole; make room on the "
            "disk of the data folder and run it again."
        )
    if isinstance(error, OSError):
        return f"A file could not be read or written ({text or type(error).__name__})."
    return (
        f"Something in the program went wrong ({type(error).__name__}{': ' + text if text else ''}). This is a fault "
        "of the program and not of your answers; the full trace is kept with the run."
    )
