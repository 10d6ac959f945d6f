//! The error function.

/// Returns erf(x), correct to about 1e-7 (Abramowitz and Stegun 7.1.5 near zero, and the
/// continued fraction 7.1.14 elsewhere).
pub fn erf(x: f32) -> f32 {
    let value = f64::from(x);
    let magnitude = value.abs();
    let result = if magnitude < 2.5 { series(magnitude) } else { 1.0 - complement(magnitude) };
    #[expect(clippy::cast_possible_truncation, reason = "the result is a single")]
    let single = result.copysign(value) as f32;
    if x.is_nan() { x } else { single }
}

fn series(x: f64) -> f64 {
    let square = x * x;
    let (mut term, mut sum) = (x, x);
    for n in 1..40 {
        let n = f64::from(n);
        term *= -square / n;
        sum += term / (2.0 * n + 1.0);
    }
    sum * std::f64::consts::FRAC_2_SQRT_PI
}

fn complement(x: f64) -> f64 {
    let mut fraction = x;
    for n in (1..=40).rev() {
        fraction = x + f64::from(n) / 2.0 / fraction;
    }
    (-x * x).exp() / fraction * std::f64::consts::FRAC_2_SQRT_PI / 2.0
}

#[cfg(test)]
mod tests {
    use super::erf;

    #[test]
    fn known_values() {
        let table = [(0.0, 0.0), (0.5, 0.520_499_9), (1.0, 0.842_700_8), (2.0, 0.995_322_3)];
        for (x, expected) in table {
            assert!((erf(x) - expected).abs() < 1e-6);
            assert!((erf(-x) + expected).abs() < 1e-6);
        }
        assert!((erf(3.0) - 0.999_977_9).abs() < 1e-6);
        assert!((erf(9.0) - 1.0).abs() < f32::EPSILON);
        assert!((erf(f32::INFINITY) - 1.0).abs() < f32::EPSILON);
    }
}
