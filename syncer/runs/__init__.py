"""One run of a job: from files to a plan, the session with the API, the results folder."""
