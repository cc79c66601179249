"""Recording a person at play in any window: eyes on the window, eyes on the hands, and a film of both."""
