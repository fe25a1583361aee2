//! The picture itself: where title, legend, axes and lines go, drawn with plotters. Everything it gets lies between 0 and 1.

use crate::text::visible;
use std::ops::Range;
use std::sync::OnceLock;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, register_font};

use super::axis::Tick;
use super::pen::RoundPen;
use super::refused;
use crate::error::{Error, Result};

/// The size of an SVG; a PNG has twice as many pixels each way.
const SIZE: (u32, u32) = (800, 480);
/// plotters places everything on whole units: drawn on a canvas this many times finer, lines are smooth in both formats.
const FINE: u32 = 4;
/// Canvas units that are averaged into one pixel of a PNG, each way.
const PER_PIXEL: u32 = 2;
/// Columns that a line can be told apart in.
pub(super) const COLUMNS: u32 = 2 * SIZE.0;

/// Okabe and Ito's colours, which people of any colour vision can tell apart; grey for their yellow, which is too faint on white.
pub(super) const COLOURS: [RGBColor; 8] = [
    RGBColor(0x00, 0x72, 0xB2),
    RGBColor(0xD5, 0x5E, 0x00),
    RGBColor(0x00, 0x9E, 0x73),
    RGBColor(0xCC, 0x79, 0xA7),
    RGBColor(0xE6, 0x9F, 0x00),
    RGBColor(0x56, 0xB4, 0xE9),
    RGBColor(0x00, 0x00, 0x00),
    RGBColor(0x88, 0x88, 0x88),
];
const TEXT: RGBColor = RGBColor(0x33, 0x33, 0x33);
const GRID: RGBColor = RGBColor(0xE0, 0xE0, 0xE0);

/// The width of a curve, in units of the fine canvas.
const LINE: u32 = 5;

/// Lengths in units of the SVG.
mod length {
    pub const MARGIN: i32 = 14;
    pub const TITLE: i32 = 30;
    pub const LEGEND_ROW: i32 = 22;
    pub const SAMPLE: i32 = 26;
    pub const GAP: i32 = 8;
    pub const ENTRY_GAP: i32 = 24;
    pub const X_LABELS: i32 = 48;
    /// The word `cost`, and a tick.
    pub const Y_NAME: i32 = 32;
    /// Half a label may stand beyond the last iteration.
    pub const RIGHT: i32 = 34;
    /// One dash and one gap of coinciding lines.
    pub const DASHES: i32 = 36;
}

/// A curve: its points in runs without gaps, (x, y) from 0 to 1.
pub(super) struct Line<'a> {
    pub name: &'a str,
    pub runs: Vec<Vec<(f64, f64)>>,
}

pub(super) struct Picture<'a> {
    pub title: Option<&'a str>,
    pub lines: Vec<Line<'a>>,
    pub x_ticks: Vec<Tick>,
    pub y_ticks: Vec<Tick>,
}

type Drawn<DB, T = ()> = std::result::Result<T, DrawingAreaErrorKind<<DB as DrawingBackend>::ErrorType>>;

impl Picture<'_> {
    pub fn svg(&self) -> Result<Vec<u8>> {
        let canvas = (FINE * SIZE.0, FINE * SIZE.1);
        let mut text = String::new();
        self.draw(&SVGBackend::with_string(&mut text, canvas).into_drawing_area()).map_err(failed)?;
        // The fine canvas stays the viewBox, shown at the nominal size; round joins, because mitred ones overshoot a noisy curve.
        let fine = format!("<svg width=\"{}\" height=\"{}\"", canvas.0, canvas.1);
        let shown = format!("<svg width=\"{}\" height=\"{}\" stroke-linejoin=\"round\"", SIZE.0, SIZE.1);
        let Some(rest) = text.strip_prefix(&fine) else {
            return Err(refused(format!("plotters began the SVG in another way than `{fine}`; report this as a bug")));
        };
        Ok(format!("{shown}{rest}").into_bytes())
    }

    pub fn png(&self) -> Result<Vec<u8>> {
        let (width, height) = (FINE * SIZE.0, FINE * SIZE.1);
        let mut canvas = vec![0; 3 * (width * height) as usize];
        let pen = RoundPen(BitMapBackend::with_buffer(&mut canvas, (width, height)));
        self.draw(&pen.into_drawing_area()).map_err(failed)?;
        let pixels = averaged(&canvas, width as usize, PER_PIXEL as usize);
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, width / PER_PIXEL, height / PER_PIXEL);
        encoder.set_color(png::ColorType::Rgb);
        let mut writer = encoder.write_header().map_err(failed)?;
        writer.write_image_data(&pixels).map_err(failed)?;
        writer.finish().map_err(failed)?;
        Ok(file)
    }

    fn draw<DB: DrawingBackend>(&self, root: &DrawingArea<DB, Shift>) -> Drawn<DB> {
        use_shipped_font();
        root.fill(&WHITE)?;
        let margin = fine(length::MARGIN);
        let area = root.margin(margin, margin, margin, fine(length::RIGHT));
        let mut top = 0;
        if let Some(title) = self.title {
            let style = text(18).pos(Pos::new(HPos::Center, VPos::Top));
            let middle = area.dim_in_pixel().0 as i32 / 2;
            let title = fitting(&area, &visible(title), &style, area.dim_in_pixel().0 as i32)?;
            area.draw(&Text::new(title, (middle, 0), style))?;
            top += fine(length::TITLE);
        }
        let mut left = 0;
        for tick in &self.y_ticks {
            left = left.max(area.estimate_text_size(&tick.label, &text(14))?.0 as i32);
        }
        left += fine(length::Y_NAME);
        let top = self.draw_legend(&area, (left, top))?;
        let (_, area) = area.split_vertically(top);
        self.draw_chart(&area, left)?;
        root.present()
    }

    /// In rows above the chart, where no curve can be; returns where the chart begins.
    fn draw_legend<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
        (start, top): (i32, i32),
    ) -> Drawn<DB, i32> {
        let end = area.dim_in_pixel().0 as i32;
        let style = text(14).pos(Pos::new(HPos::Left, VPos::Center));
        let before_text = fine(length::SAMPLE + length::GAP);
        let (mut x, mut y) = (start, top + fine(length::LEGEND_ROW) / 2);
        for (line, colour) in self.lines.iter().zip(COLOURS) {
            let name = fitting(area, &visible(line.name), &style, end - start - before_text)?;
            let width = before_text + area.estimate_text_size(&name, &style)?.0 as i32;
            if x > start && x + width > end {
                (x, y) = (start, y + fine(length::LEGEND_ROW));
            }
            area.draw(&PathElement::new(vec![(x, y), (x + fine(length::SAMPLE), y)], colour.stroke_width(2 * LINE)))?;
            area.draw(&Text::new(name, (x + before_text, y), style.clone()))?;
            x += width + fine(length::ENTRY_GAP);
        }
        Ok(y + fine(length::LEGEND_ROW) / 2 + fine(length::GAP))
    }

    fn draw_chart<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>, left: i32) -> Drawn<DB> {
        let mut chart = ChartBuilder::on(area)
            .x_label_area_size(fine(length::X_LABELS))
            .y_label_area_size(left)
            .build_cartesian_2d(Ruler(&self.x_ticks), Ruler(&self.y_ticks))?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID.stroke_width(4))
            .axis_style(TEXT.stroke_width(4))
            .set_all_tick_mark_size(fine(5))
            .label_style(text(14))
            .axis_desc_style(text(16))
            .x_desc("iteration")
            .y_desc("cost")
            .draw()?;
        for (index, (line, colour)) in self.lines.iter().zip(COLOURS).enumerate() {
            let (rank, of) = self.among_coinciding(index);
            let dash = fine(length::DASHES) * (of - rank) as i32 / of as i32;
            let style = colour.stroke_width(LINE);
            for run in &line.runs {
                let points = run.iter().copied();
                if let [point] = run[..] {
                    chart.draw_series([Circle::new(point, fine(2), colour.filled())])?;
                } else if rank == 0 {
                    chart.draw_series(LineSeries::new(points, style))?;
                } else {
                    chart.draw_series(DashedLineSeries::new(points, dash, fine(length::DASHES) - dash, style))?;
                }
            }
        }
        Ok(())
    }

    /// How many earlier lines lie where this one does, and how many in all: the later are dashed over the earlier.
    fn among_coinciding(&self, index: usize) -> (usize, usize) {
        let same = |other: &Line| coincide(&self.lines[index], other);
        let earlier = self.lines[..index].iter().filter(|line| same(line)).count();
        (earlier, self.lines.iter().filter(|line| same(line)).count())
    }
}

/// An axis from 0 to 1 with its ticks, in plotters' terms.
struct Ruler<'a>(&'a [Tick]);

impl Ranged for Ruler<'_> {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, position: &f64, (low, high): (i32, i32)) -> i32 {
        low + (position * f64::from(high - low)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.0.iter().map(|tick| tick.position).collect()
    }

    fn range(&self) -> Range<f64> {
        0.0..1.0
    }
}

impl ValueFormatter<f64> for Ruler<'_> {
    fn format_ext(&self, position: &f64) -> String {
        self.0.iter().find(|tick| tick.position == *position).map_or_else(String::new, |tick| tick.label.clone())
    }
}

/// Whether two lines cannot be told apart in the picture.
fn coincide(a: &Line, b: &Line) -> bool {
    let near = |a: &(f64, f64), b: &(f64, f64)| {
        (a.0 - b.0).abs() * f64::from(SIZE.0) < 1.0 && (a.1 - b.1).abs() * f64::from(SIZE.1) < 1.0
    };
    let same =
        |a: &Vec<(f64, f64)>, b: &Vec<(f64, f64)>| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| near(a, b));
    a.runs.len() == b.runs.len() && a.runs.iter().zip(&b.runs).all(|(a, b)| same(a, b))
}

fn fine(length: i32) -> i32 {
    length * FINE as i32
}

fn text(size: i32) -> TextStyle<'static> {
    (FONT, fine(size)).into_font().color(&TEXT)
}

/// Registered under the generic name, so that a viewer of the SVG takes its own font of that kind.
const FONT: &str = "sans-serif";

fn use_shipped_font() {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        let font = include_bytes!("../../../assets/DejaVuSans-subset.ttf");
        register_font(FONT, FontStyle::Normal, font).unwrap_or_else(|_| panic!("the shipped font is whole"));
    });
}

/// The text, cut short with an ellipsis where it is wider than `width`.
fn fitting<DB: DrawingBackend>(
    area: &DrawingArea<DB, Shift>,
    text: &str,
    style: &TextStyle,
    width: i32,
) -> Drawn<DB, String> {
    let fits = |text: &str| Ok(area.estimate_text_size(text, style)?.0 as i32 <= width);
    if fits(text)? {
        return Ok(text.to_owned());
    }
    let mut start = String::new();
    for character in text.chars() {
        start.push(character);
        if !fits(&format!("{start}\u{2026}"))? {
            start.pop();
            break;
        }
    }
    Ok(start + "\u{2026}")
}

/// The mean of each square of `side` x `side` RGB pixels; rows are `width` pixels long.
fn averaged(rgb: &[u8], width: usize, side: usize) -> Vec<u8> {
    let mean = |rows: &[u8], column: usize, channel: usize| {
        let square = (0..side).flat_map(|row| (0..side).map(move |inner| row * width + column * side + inner));
        let sum: usize = square.map(|pixel| usize::from(rows[3 * pixel + channel])).sum();
        ((sum + side * side / 2) / (side * side)) as u8
    };
    rgb.chunks_exact(3 * width * side)
        .flat_map(|rows| (0..width / side).flat_map(move |column| [0, 1, 2].map(|channel| mean(rows, column, channel))))
        .collect()
}

fn failed(error: impl std::fmt::Display) -> Error {
    refused(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, shift: f64) -> Line<'_> {
        Line { name, runs: vec![vec![(0.0, 0.5 + shift), (1.0, 0.25)]] }
    }

    #[test]
    fn coinciding_lines_share_the_dashes() {
        let lines = vec![line("a", 0.0), line("b", 0.25), line("c", 1e-9), line("d", 0.0)];
        let picture = Picture { title: None, lines, x_ticks: Vec::new(), y_ticks: Vec::new() };
        assert_eq!([0, 1, 2, 3].map(|index| picture.among_coinciding(index)), [(0, 3), (0, 1), (1, 3), (2, 3)]);
    }

    #[test]
    fn averaging_keeps_places_and_channels() {
        // One row of two squares: a black one with one red pixel, a white one.
        let rgb = [[255, 0, 0], [0, 0, 0], [255; 3], [255; 3], [0, 0, 0], [0, 0, 0], [255; 3], [255; 3]].concat();
        assert_eq!(averaged(&rgb, 4, 2), [64, 0, 0, 255, 255, 255]);
    }
}
