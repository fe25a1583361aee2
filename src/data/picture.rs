//! One picture from a PNG or JPEG file, as a row of [`PictureSet::pixels`](super::PictureSet::pixels). Knows no network, and divides nothing.

use std::io::{Cursor, ErrorKind, Read};
use std::path::Path;

use image::imageops::{self, FilterType};
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, RgbImage};

use super::file;
use crate::error::{Error, Result};

/// Longest height or width that is decoded.
const MAX_SIDE: u32 = 1 << 15;
/// Most memory, in bytes, that a picture may take: 134 million pixels of 4 bytes.
const MAX_MEMORY: u64 = 512 << 20;

/// The side s of the square colour pictures that a network with 3 * s * s inputs takes.
///
/// # Errors
/// [`Error::Mismatch`] where there is no such s.
pub fn side_of(inputs: usize) -> Result<usize> {
    let side = (inputs / 3).isqrt();
    if side > 0 && side.checked_mul(side).and_then(|n| n.checked_mul(3)) == Some(inputs) {
        return Ok(side);
    }
    Err(Error::Mismatch {
        what: "the network's input layer",
        expected: "3 * s * s of them, to take a colour picture of s x s pixels (12288 for 64 x 64)".into(),
        found: format!("{inputs} units"),
    })
}

/// Reads a picture of any size and shape and scales it to `side` x `side` pixels: 3 * `side` * `side` bytes in the
/// order row, column, channel (red, green, blue).
///
/// - It is turned as its EXIF orientation says, so that it is classified the way a viewer shows it.
/// - Grey becomes three equal channels; 16 bits are rounded to 8; what is transparent lies on white.
/// - It is stretched, not cropped, as in the notebook.
/// - The filter is a triangle (bilinear) as wide as a target pixel. It averages everything that falls into that pixel, so
///   that shrinking does not alias; and since none of its weights is negative, it invents no values beyond those around.
///   A picture of the right size keeps its bytes.
///
/// # Errors
/// [`Error::Io`] for a missing or unreadable file; [`Error::Data`] for a folder, an empty or truncated file, one that is
/// neither PNG nor JPEG, and a picture with a side of more than 32768 pixels or of more than 512 MiB.
pub fn read_picture(path: &Path, side: usize) -> Result<Vec<u8>> {
    let refuse = |problem: String| Error::Data { path: path.to_owned(), problem };
    let io = |source| Error::Io { action: "read", path: path.to_owned(), source };
    let target =
        u32::try_from(side).ok().filter(|side| (1..=MAX_SIDE).contains(side)).ok_or_else(|| Error::Setting {
            what: "the side of the scaled picture",
            found: side.to_string(),
            expected: "1 to 32768 pixels",
        })?;
    let (file, length) = file::open(path, "a PNG or JPEG picture")?;
    let mut bytes = Vec::with_capacity(length as usize);
    // It may grow while it is read.
    file.take(length).read_to_end(&mut bytes).map_err(io)?;
    if bytes.is_empty() {
        return Err(refuse("expected a PNG or JPEG picture, found an empty file".into()));
    }
    // The format is taken from the first bytes; the file's name may lie.
    let format = image::guess_format(&bytes).ok();
    match format {
        Some(ImageFormat::Png | ImageFormat::Jpeg) => {}
        Some(other) => return Err(refuse(format!("expected a PNG or JPEG picture, found {other:?}"))),
        None => return Err(refuse("expected a PNG or JPEG picture (its first bytes are others)".into())),
    }
    let end = if format == Some(ImageFormat::Jpeg) { JpegEnd::of(&bytes) } else { JpegEnd::Marked };
    let picture = match end {
        JpegEnd::Marked => decode(&bytes),
        JpegEnd::Unmarked { data } => decode_unmarked(&bytes[..data]),
        JpegEnd::Missing => Err(truncated()),
    };
    let picture = picture.map_err(|error| match error {
        ImageError::IoError(error) if error.kind() != ErrorKind::UnexpectedEof => io(error),
        ImageError::IoError(_) => refuse("the picture is truncated".into()),
        ImageError::Limits(_) => refuse(format!(
            "the picture is too large; the limits are {MAX_SIDE} pixels a side and {} MiB",
            MAX_MEMORY >> 20
        )),
        other => refuse(format!("the picture cannot be decoded: {other}")),
    })?;
    let picture = on_white(picture);
    if picture.dimensions() == (target, target) {
        return Ok(picture.into_raw());
    }
    Ok(imageops::resize(&picture, target, target, FilterType::Triangle).into_raw())
}

fn truncated() -> ImageError {
    ImageError::IoError(ErrorKind::UnexpectedEof.into())
}

fn decode(bytes: &[u8]) -> image::ImageResult<DynamicImage> {
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(MAX_SIDE), Some(MAX_SIDE));
    limits.max_alloc = Some(MAX_MEMORY);
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder()?;
    // The decoded picture is not among what the decoder itself counts.
    limits.reserve(decoder.total_bytes())?;
    let orientation = decoder.orientation()?;
    let mut picture = DynamicImage::from_decoder(decoder)?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

/// A JPEG of which `bytes` end with the coded data. The decoder does not say whether it had all of them: it fills what is missing
/// with grey. So it gets continuations of different bits: if any were missing, these would decode to different pictures. (Two are not
/// enough: the decoder takes nonsense in its stride.)
fn decode_unmarked(bytes: &[u8]) -> image::ImageResult<DynamicImage> {
    // A last 0xff is the half of something.
    let bytes = &bytes[..bytes.iter().rposition(|&byte| byte != 0xff).map_or(0, |last| last + 1)];
    let continued = |by: u8| match decode(&[bytes, &[by; 256], &[0xff, END_OF_IMAGE]].concat()) {
        Err(error) if !matches!(error, ImageError::Limits(_)) => Err(truncated()),
        outcome => outcome,
    };
    let picture = continued(0x55)?;
    for other in [0xaa, 0x00, 0x33, 0xcc] {
        if continued(other)? != picture {
            return Err(truncated());
        }
    }
    Ok(picture)
}

const END_OF_IMAGE: u8 = 0xd9;
const START_OF_SCAN: u8 = 0xda;

/// How a JPEG ends.
enum JpegEnd {
    /// With the end marker, outside of any segment (a camera's preview in the header has one of its own).
    Marked,
    /// With something else behind the only scan, which has all components: a trailer, or nothing. The coded data are `..data`, and
    /// may be cut. Of more scans than one nobody knows how many there were.
    Unmarked { data: usize },
    /// Before there is a whole picture.
    Missing,
}

impl JpegEnd {
    fn of(bytes: &[u8]) -> Self {
        let mut at = 0;
        let (mut components, mut scans) = (None, 0);
        // Of the only scan: its number of components, and where its data end.
        let (mut scanned, mut data) = (None, None);
        while let Some(found) = bytes.get(at..).and_then(|rest| rest.iter().position(|&byte| byte == 0xff)) {
            let marker = at + found;
            at = marker + 1;
            let code = match bytes.get(at) {
                Some(&END_OF_IMAGE) => return JpegEnd::Marked,
                // Not a marker (a stuffed or a fill byte), or one without a segment that does not end a scan.
                None | Some(0x00 | 0x01 | 0xd0..=0xd7 | 0xff) => continue,
                Some(&code) => code,
            };
            if scans > 0 {
                data = data.or(Some(marker));
            }
            // The start of an image has no segment.
            if code == 0xd8 {
                continue;
            }
            let Some(length) = bytes.get(at + 1..at + 3) else { break };
            match code {
                // Sequential, Huffman-coded; behind length, precision, height and width.
                0xc0 | 0xc1 => components = bytes.get(at + 8),
                START_OF_SCAN => (scans, scanned) = (scans + 1, bytes.get(at + 3)),
                _ => {}
            }
            at += 1 + usize::from(u16::from_be_bytes([length[0], length[1]]));
        }
        match (scans, components) {
            (1, Some(_)) if scanned == components => JpegEnd::Unmarked { data: data.unwrap_or(bytes.len()) },
            _ => JpegEnd::Missing,
        }
    }
}

/// Three channels of 8 bits. Dropping the alpha channel instead would bring out colours that nobody was meant to see.
fn on_white(picture: DynamicImage) -> RgbImage {
    if !picture.color().has_alpha() {
        return picture.into_rgb8();
    }
    let picture = picture.into_rgba8();
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let [red, green, blue, alpha] = picture.get_pixel(x, y).0.map(u32::from);
        image::Rgb([red, green, blue].map(|colour| ((colour * alpha + 255 * (255 - alpha) + 127) / 255) as u8))
    })
}
