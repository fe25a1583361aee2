//! Cost curves as a picture, SVG or PNG, made in memory. Reads and writes no file.

mod axis;
mod draw;
mod pen;
mod thin;

use std::path::Path;

use crate::error::{Error, Result};
use axis::{CostAxis, IterationAxis};

/// Curves that one picture can hold: as many as there are colours that everybody can tell apart.
pub const MAX_CURVES: usize = draw::COLOURS.len();

/// The costs of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// What the legend calls it.
    pub name: String,
    /// (iteration, cost), iterations rising. A cost that cannot be drawn leaves a gap in the line.
    pub costs: Vec<(usize, f64)>,
}

impl Curve {
    /// How many costs leave a gap: NaN, infinite, or, on a logarithmic axis, not positive.
    pub fn gaps(&self, log: bool) -> usize {
        self.costs.iter().filter(|(_, cost)| !is_drawable(*cost, log)).count()
    }
}

fn is_drawable(cost: f64, log: bool) -> bool {
    cost.is_finite() && (!log || cost > 0.0)
}

/// What kind of picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PictureFormat {
    /// Lines and text, sharp at any size.
    Svg,
    /// 1600 x 960 pixels.
    Png,
}

impl PictureFormat {
    /// The format that a file's extension asks for.
    ///
    /// # Errors
    /// [`Error::Plot`] for anything but `.svg` and `.png`.
    pub fn of(path: &Path) -> Result<Self> {
        match path.extension().and_then(|extension| extension.to_str()).map(str::to_lowercase).as_deref() {
            Some("svg") => Ok(PictureFormat::Svg),
            Some("png") => Ok(PictureFormat::Png),
            _ => {
                Err(refused(format!("{} is no picture's name; expected one that ends in .svg or .png", path.display())))
            }
        }
    }
}

/// How the picture looks.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Written above the curves.
    pub title: Option<String>,
    /// A logarithmic cost axis.
    pub log: bool,
}

/// Draws the curves over each other, with a legend, in the order given.
///
/// Curves that coincide are drawn as alternating dashes, so that each is seen.
///
/// # Errors
/// [`Error::Plot`] where there is nothing to draw: no curves or more than [`MAX_CURVES`], a curve without a single drawable cost,
/// iterations that do not rise, a control character in a name or the title.
pub fn render(curves: &[Curve], format: PictureFormat, options: &Options) -> Result<Vec<u8>> {
    check(curves, options)?;
    let iterations = || curves.iter().flat_map(|curve| &curve.costs).map(|(iteration, _)| *iteration);
    let x = IterationAxis::new(iterations().min().unwrap_or(0), iterations().max().unwrap_or(0));
    let costs = || curves.iter().flat_map(|curve| &curve.costs).map(|(_, cost)| *cost);
    let drawable = || costs().filter(|cost| is_drawable(*cost, options.log));
    let y = CostAxis::new(
        drawable().fold(f64::INFINITY, f64::min),
        drawable().fold(f64::NEG_INFINITY, f64::max),
        options.log,
    );
    let lines: Vec<draw::Line> = curves.iter().map(|curve| line(curve, &x, &y, options.log)).collect();
    let picture = draw::Picture { title: options.title.as_deref(), lines, x_ticks: x.ticks(), y_ticks: y.ticks };
    match format {
        PictureFormat::Svg => picture.svg(),
        PictureFormat::Png => picture.png(),
    }
}

fn refused(problem: String) -> Error {
    Error::Plot { problem }
}

fn check(curves: &[Curve], options: &Options) -> Result<()> {
    if curves.is_empty() || curves.len() > MAX_CURVES {
        return Err(refused(format!(
            "{} curves; expected 1 to {MAX_CURVES}, which is as many as can be told apart",
            curves.len()
        )));
    }
    for curve in curves {
        let name = &curve.name;
        if let Some(pair) = curve.costs.windows(2).find(|pair| pair[0].0 >= pair[1].0) {
            let (first, second) = (pair[0].0, pair[1].0);
            return Err(refused(format!("`{name}` has iteration {second} after {first}; expected them to rise")));
        }
        if curve.gaps(options.log) == curve.costs.len() {
            let wanted =
                if options.log { "finite positive cost (or an axis that is not logarithmic)" } else { "finite cost" };
            return Err(refused(format!("`{name}` has nothing to draw; expected at least one {wanted}")));
        }
    }
    let mut texts = curves.iter().map(|curve| &curve.name).chain(&options.title);
    match texts.find(|text| text.chars().any(char::is_control)) {
        Some(text) => Err(refused(format!("{text:?} has a control character in it; expected plain text"))),
        None => Ok(()),
    }
}

fn line<'a>(curve: &'a Curve, x: &IterationAxis, y: &CostAxis, log: bool) -> draw::Line<'a> {
    let runs = curve.costs.split(|(_, cost)| !is_drawable(*cost, log)).filter(|run| !run.is_empty());
    let places = |run: &[(usize, f64)]| {
        let points: Vec<(f64, f64)> =
            run.iter().map(|&(iteration, cost)| (x.position(iteration), y.position(cost))).collect();
        thin::thinned(&points, draw::COLUMNS)
    };
    draw::Line { name: &curve.name, runs: runs.map(places).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(costs: &[f64]) -> Curve {
        Curve { name: "mine".into(), costs: costs.iter().copied().enumerate().collect() }
    }

    fn problem(curves: &[Curve], options: &Options) -> String {
        render(curves, PictureFormat::Svg, options).expect_err("it cannot be drawn").to_string()
    }

    #[test]
    fn what_cannot_be_drawn_is_refused_by_name() {
        let plain = Options::default();
        let log = Options { log: true, ..Options::default() };
        assert!(problem(&[], &plain).contains("0 curves; expected 1 to 8"));
        assert!(problem(&vec![curve(&[1.0]); MAX_CURVES + 1], &plain).contains("9 curves"));
        assert!(problem(&[curve(&[1.0]), curve(&[])], &plain).contains("`mine` has nothing to draw"));
        assert!(problem(&[curve(&[f64::NAN, f64::INFINITY])], &plain).contains("expected at least one finite cost"));
        assert!(problem(&[curve(&[0.0, -1.0])], &log).contains("finite positive"));
        let mut backwards = curve(&[1.0, 2.0]);
        backwards.costs.reverse();
        assert!(problem(&[backwards], &plain).contains("iteration 0 after 1"));
        let title = Options { title: Some("a\u{1b}b".into()), log: false };
        assert!(problem(&[curve(&[1.0])], &title).contains("control character"));
    }

    #[test]
    fn a_cost_that_is_not_finite_leaves_a_gap() {
        let split = curve(&[3.0, 2.0, f64::NAN, 1.0, 0.5, f64::INFINITY, 0.25]);
        assert_eq!((split.gaps(false), curve(&[1.0, 0.0, -1.0]).gaps(true)), (2, 2));
        let svg = render(&[split], PictureFormat::Svg, &Options::default()).expect("drawn");
        let svg = String::from_utf8(svg).expect("text");
        // The legend's sample and two runs of two costs; the last cost is alone: a dot.
        let lines = svg.lines().filter(|line| line.starts_with("<polyline") && line.contains("#0072B2"));
        assert_eq!((lines.count(), svg.matches("<circle").count()), (3, 1), "{svg}");
    }

    #[test]
    fn awkward_curves_are_drawn_in_both_formats() {
        let many = curve(&(0..200_000).map(|i| 1.0 / (1.0 + i as f64)).collect::<Vec<_>>());
        let awkward = [
            vec![curve(&[0.5])],
            vec![curve(&[0.5; 100])],
            vec![curve(&[0.0])],
            vec![curve(&[f64::MIN, f64::MAX])],
            vec![curve(&[5e-324, 1e-310])],
            vec![Curve { name: "late".into(), costs: vec![(usize::MAX - 1, 1.0), (usize::MAX, 2.0)] }],
            vec![Curve { name: String::new(), costs: vec![(0, 1.0), (usize::MAX, 2.0)] }],
            vec![Curve { name: "a name much longer than any picture is wide ".repeat(20), ..curve(&[2.0, 1.0]) }],
            vec![Curve { name: "<&\"'> \u{732b} \u{3b1}".into(), ..curve(&[2.0, 1.0]) }],
            vec![many; MAX_CURVES],
        ];
        for curves in &awkward {
            for log in [false, true] {
                let options = Options { title: Some("title".into()), log };
                if curves.iter().all(|curve| curve.gaps(log) < curve.costs.len()) {
                    let svg = render(curves, PictureFormat::Svg, &options).expect("drawn");
                    assert!(svg.len() < 400_000, "{} bytes for {:?}", svg.len(), curves[0].name);
                    render(curves, PictureFormat::Png, &options).expect("drawn");
                }
            }
        }
    }
}
