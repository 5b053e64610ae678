"""Settings: frozen, loaded once, every key known, every fault named. Importing this package loads nothing heavy."""

from syncer.config.job_settings import JobSettings
from syncer.config.jobs import pick_job
from syncer.config.loading import example_text, load_settings
from syncer.config.settings import SECTIONS, Settings

__all__ = ["SECTIONS", "JobSettings", "Settings", "example_text", "load_settings", "pick_job"]
