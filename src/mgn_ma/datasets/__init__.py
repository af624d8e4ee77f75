"""The Kedro dataset classes that this project adds."""
