"""How a method is put to a task: frozen, fine-tuned, beside labels, or by labels alone; which trainings that needs."""
