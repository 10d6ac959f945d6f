#![expect(clippy::float_cmp, reason = "these sums and products are exact")]
