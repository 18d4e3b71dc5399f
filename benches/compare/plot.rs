//! Plots as SVG, small enough to be read: lines over two logarithmic axes, in colours that can be seen on a
//! light and on a dark page.

use std::fmt::Write;

/// One line of a plot.
#[derive(Debug)]
pub struct Series {
    pub name: &'static str,
    pub colour: &'static str,
    /// x and y, both above zero, by growing x.
    pub points: Vec<(f64, f64)>,
}

/// A plot.
#[derive(Debug)]
pub struct Plot {
    pub title: &'static str,
    pub x_label: &'static str,
    pub y_label: &'static str,
    pub series: Vec<Series>,
}

pub const OURS: &str = "#2f81f7";
pub const BUILT_IN: &str = "#d1791f";
pub const FLOOR: &str = "#8b949e";

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
/// Room around the plot for numbers and names.
const LEFT: f64 = 62.0;
const RIGHT: f64 = 118.0;
const TOP: f64 = 48.0;
const BOTTOM: f64 = 52.0;
/// Least distance between two names.
const NAME_HEIGHT: f64 = 16.0;

/// A logarithmic axis: values to places.
struct Axis {
    from: f64,
    to: f64,
    start: f64,
    length: f64,
}

impl Axis {
    fn place(&self, value: f64) -> f64 {
        let part = (value.log10() - self.from.log10()) / (self.to.log10() - self.from.log10());
        self.start + part * self.length
    }
}

impl Plot {
    /// The plot as SVG.
    pub fn svg(&self) -> String {
        let all = || self.series.iter().flat_map(|series| &series.points);
        let bounds = |values: &mut dyn Iterator<Item = f64>| {
            values.fold((f64::INFINITY, 0.0_f64), |(min, max), value| (min.min(value), max.max(value)))
        };
        let (x_min, x_max) = bounds(&mut all().map(|point| point.0));
        let (y_min, y_max) = bounds(&mut all().map(|point| point.1));
        let (y_from, y_to) = (10f64.powf(y_min.log10().floor()), 10f64.powf(y_max.log10().ceil()));
        let x = Axis { from: x_min, to: x_max, start: LEFT, length: WIDTH - LEFT - RIGHT };
        let bottom = HEIGHT - BOTTOM;
        let y = Axis { from: y_from, to: y_to, start: bottom, length: TOP - bottom };

        let mut svg = format!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="system-ui, sans-serif" font-size="12" fill="#7d8590">
<text x="{LEFT}" y="20" font-size="15" font-weight="600">{}</text>
<text x="{LEFT}" y="37">{}</text>
<text x="{}" y="{}" text-anchor="middle">{}</text>
"##,
            self.title,
            self.y_label,
            f64::midpoint(LEFT, WIDTH - RIGHT),
            HEIGHT - 12.0,
            self.x_label,
        );
        let mut power = y_from;
        while power <= y_to * 1.001 {
            let at = y.place(power);
            let _ = writeln!(
                svg,
                r##"<path d="M{LEFT} {at:.1}H{}" stroke="#7d8590" stroke-opacity=".3"/><text x="{}" y="{:.1}" text-anchor="end">{}</text>"##,
                WIDTH - RIGHT,
                LEFT - 8.0,
                at + 4.0,
                plain(power),
            );
            power *= 10.0;
        }
        for &(value, _) in self.series.first().map_or(&[][..], |series| &series.points) {
            let (at, below) = (x.place(value), bottom + 18.0);
            let _ =
                writeln!(svg, r#"<text x="{at:.1}" y="{below}" text-anchor="middle">{}</text>"#, size(value));
        }
        for series in &self.series {
            svg.push_str(&line(series, &x, &y));
        }
        svg.push_str(&self.names(&y));
        svg + "</svg>\n"
    }

    /// Each line's name at its right end, moved down where it would cover another.
    fn names(&self, y: &Axis) -> String {
        let mut names: Vec<(f64, &Series)> = self
            .series
            .iter()
            .filter_map(|series| Some((y.place(series.points.last()?.1) + 4.0, series)))
            .collect();
        names.sort_by(|one, other| one.0.total_cmp(&other.0));
        let mut text = String::new();
        let mut free = 0.0_f64;
        for (at, Series { name, colour, .. }) in names {
            let at = at.max(free);
            free = at + NAME_HEIGHT;
            let x = WIDTH - RIGHT + 10.0;
            let _ = writeln!(
                text,
                r#"<text x="{x}" y="{at:.1}" fill="{colour}" font-weight="600">{name}</text>"#
            );
        }
        text
    }
}

fn line(Series { colour, points, .. }: &Series, x: &Axis, y: &Axis) -> String {
    let places: Vec<String> =
        points.iter().map(|point| format!("{:.1} {:.1}", x.place(point.0), y.place(point.1))).collect();
    // A stroke of no length with round ends is a dot.
    let dots: String = places.iter().map(|place| format!("M{place}h0")).collect();
    format!(
        r#"<path d="M{}" fill="none" stroke="{colour}" stroke-width="2"/><path d="{dots}" stroke="{colour}" stroke-width="7" stroke-linecap="round"/>
"#,
        places.join("L")
    )
}

/// A power of ten.
fn plain(value: f64) -> String {
    let decimals = if value < 1.0 { -value.log10().round() } else { 0.0 };
    format!("{value:.*}", decimals as usize)
}

/// A number of bytes.
fn size(bytes: f64) -> String {
    match bytes {
        1_048_576.0.. => format!("{:.0} MiB", bytes / 1_048_576.0),
        1024.0.. => format!("{:.0} KiB", bytes / 1024.0),
        _ => format!("{bytes:.0} B"),
    }
}
