"""One way into any model: what it did in one trace, and that nothing of it stays behind."""
