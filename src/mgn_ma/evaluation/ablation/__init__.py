"""The paper's two tables and what else a reader may doubt: variants, their networks, their scores, their tables."""
