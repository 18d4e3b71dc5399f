//! What is said of several measurements of the same.

use std::fmt;

/// Some measurements of one thing.
#[derive(Clone, Debug, Default)]
pub struct Sample(Vec<f64>);

impl Sample {
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The middle one, or the middle between the two in the middle.
    pub fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => f64::NAN,
            len if len % 2 == 1 => sorted[middle],
            _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
        }
    }

    fn bounds(&self) -> (f64, f64) {
        self.0
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), &value| (min.min(value), max.max(value)))
    }
}

/// `median (min–max)`
impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("–");
        }
        let median = self.median();
        let (min, max) = self.bounds();
        if self.0.len() == 1 {
            return f.write_str(&shown(median, median));
        }
        write!(f, "{} ({}–{})", shown(median, median), shown(min, median), shown(max, median))
    }
}

/// A number with as many decimals as `like` needs for three digits.
pub fn shown(value: f64, like: f64) -> String {
    let decimals = match like.abs() {
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

/// How many times as much.
pub fn ratio(more: &Sample, less: &Sample) -> String {
    match more.median() / less.median() {
        ratio if ratio.is_finite() && ratio > 0.0 => format!("{}×", shown(ratio, ratio.max(1.0))),
        _ => "–".into(),
    }
}
