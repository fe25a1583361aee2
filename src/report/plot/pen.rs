//! Mends two things that plotters' bitmaps get wrong: lines that turn sharply, and the height of text.

use plotters::backend::{BitMapBackend, RGBPixel};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind, FontTransform,
};

/// A bitmap that draws with a round pen.
///
/// plotters makes one polygon of a whole path, whose mitred corners shoot far beyond the points of a noisy curve: costs that
/// never were. Here each stretch is drawn by itself, with a disc on every corner. What is not overridden ends in `draw_pixel`.
pub(super) struct RoundPen<'a>(pub BitMapBackend<'a, RGBPixel>);

type Done<'a> = Result<(), DrawingErrorKind<<BitMapBackend<'a> as DrawingBackend>::ErrorType>>;

impl<'a> DrawingBackend for RoundPen<'a> {
    type ErrorType = <BitMapBackend<'a> as DrawingBackend>::ErrorType;

    fn get_size(&self) -> (u32, u32) {
        self.0.get_size()
    }

    fn ensure_prepared(&mut self) -> Done<'a> {
        self.0.ensure_prepared()
    }

    fn present(&mut self) -> Done<'a> {
        self.0.present()
    }

    fn draw_pixel(&mut self, point: BackendCoord, color: BackendColor) -> Done<'a> {
        self.0.draw_pixel(point, color)
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, path: I, style: &S) -> Done<'a> {
        let mut last = None;
        for point in path {
            if let Some(last) = last {
                self.0.draw_line(last, point, style)?;
            }
            if style.stroke_width() > 1 {
                self.0.draw_circle(point, style.stroke_width() / 2, &style.color(), true)?;
            }
            last = Some(point);
        }
        Ok(())
    }

    fn draw_text<S: BackendTextStyle>(&mut self, text: &str, style: &S, (x, y): BackendCoord) -> Done<'a> {
        // With `ab_glyph` it comes out about an eighth of its size too high.
        let lower = if matches!(style.transform(), FontTransform::None) { style.size() / 8.0 } else { 0.0 };
        self.0.draw_text(text, style, (x, y + lower.round() as i32))
    }
}
