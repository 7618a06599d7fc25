"""Pure estimators: a frame in, a frame out, scikit-learn conventions. No Dagster, no SQL, no input or output."""
