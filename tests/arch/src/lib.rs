//! The rules that the code's structure keeps, as tests; everything is in `tests/it`.
