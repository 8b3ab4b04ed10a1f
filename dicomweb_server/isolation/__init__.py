"""Processes of their own for what touches the pixels of strangers, with limits of memory and time.

A worker of the server starts one *template* when it first needs pixels: a process with one thread
that imports what the codecs need, and is forked for every *helper*. A helper does one task after
another. One that crashes, hangs or grows costs the request whose frame did it, and nothing else.

    worker (many threads) --control socket--> template --fork--> helper
           \\------------------- task socket, scratch file -----------/
"""

from .pool import Busy, Crashed, Inline, IsolationError, Limits, Pool, Runner, TooSlow
from .tasks import Toolbox

__all__ = [
    "Busy",
    "Crashed",
    "Inline",
    "IsolationError",
    "Limits",
    "Pool",
    "Runner",
    "TooSlow",
    "Toolbox",
]
