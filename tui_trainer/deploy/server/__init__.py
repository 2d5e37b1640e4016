"""A model behind HTTP, in OpenAI's dialect: completions, streamed or whole."""
