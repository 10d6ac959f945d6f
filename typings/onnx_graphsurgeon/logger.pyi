from contextlib import AbstractContextManager

class Logger:
    CRITICAL: int
    def suppress(self, severity: int) -> AbstractContextManager[None]: ...

G_LOGGER: Logger
