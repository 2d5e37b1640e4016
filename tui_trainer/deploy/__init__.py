"""What becomes of a trained model: export cards, and an API that serves it."""
