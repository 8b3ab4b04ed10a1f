"""Where the time goes: what each extension takes at start, and, if asked for, for each request.

`pluggy` can watch hooks too, but it sees a whole call and neither which extension took how long
nor the calls that go to one extension alone, and it knows nothing of providers. So the functions
and classes are wrapped when they are looked up, once, and only if the trace is on: without it
they are what the extensions brought, and a request meets nothing of this package.
"""

from dicomweb_server.tracing.start import StartTimes
from dicomweb_server.tracing.trace import Trace, log

__all__ = ["StartTimes", "Trace", "log"]
