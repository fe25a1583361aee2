//! Decoding single pictures: exact bytes where nothing is scaled, close ones where something is, and errors for the rest.

#![cfg(feature = "cli")]

use std::path::{Path, PathBuf};

use image::{DynamicImage, GrayImage, ImageBuffer, ImageEncoder, ImageFormat, Luma, Rgb, RgbImage, Rgba, RgbaImage};
use layerbench::Error;
use layerbench::data::picture::{read_picture, side_of};

fn save(folder: &Path, name: &str, picture: impl Into<DynamicImage>) -> PathBuf {
    let path = folder.join(name);
    picture.into().save(&path).expect("the folder is writable");
    path
}

/// Every byte another, so that a wrong order shows.
fn all_different(side: u32) -> RgbImage {
    RgbImage::from_fn(side, side, |x, y| Rgb([0, 1, 2].map(|channel| (3 * (y * side + x) + channel) as u8)))
}

#[test]
fn a_picture_of_the_right_size_keeps_its_bytes() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = save(folder.path(), "a.png", all_different(8));
    let expected: Vec<u8> = (0..192).collect();
    assert_eq!(read_picture(&path, 8).expect("a good picture"), expected);
    // The name may lie.
    let lying = folder.path().join("a.jpg");
    std::fs::rename(path, &lying).expect("renamed");
    assert_eq!(read_picture(&lying, 8).expect("a good picture"), expected);
}

#[test]
fn grey_16_bits_and_transparency() {
    let folder = tempfile::tempdir().expect("a folder");
    let grey = save(folder.path(), "grey.png", GrayImage::from_fn(2, 1, |x, _| Luma([100 + x as u8])));
    // Stretched to a square: two equal rows.
    assert_eq!(read_picture(&grey, 2).expect("good"), [100, 100, 100, 101, 101, 101].repeat(2));
    let deep: ImageBuffer<Rgb<u16>, Vec<u16>> = ImageBuffer::from_pixel(1, 1, Rgb([0, 0x7fff, 0xffff]));
    let deep = save(folder.path(), "deep.png", DynamicImage::ImageRgb16(deep));
    assert_eq!(read_picture(&deep, 1).expect("good"), [0, 127, 255]);
    for (alpha, expected) in [(0, [255, 255, 255]), (255, [10, 20, 200]), (51, [206, 208, 244])] {
        let path = save(folder.path(), "clear.png", RgbaImage::from_pixel(1, 1, Rgba([10, 20, 200, alpha])));
        assert_eq!(read_picture(&path, 1).expect("good"), expected, "alpha {alpha}");
    }
}

#[test]
fn scaling_keeps_colours_and_averages_what_it_drops() {
    let folder = tempfile::tempdir().expect("a folder");
    for (width, height) in [(1, 1), (3, 200), (64, 65), (500, 300)] {
        let path = save(folder.path(), "plain.png", RgbImage::from_pixel(width, height, Rgb([17, 130, 255])));
        let pixels = read_picture(&path, 64).expect("a good picture");
        assert_eq!(pixels, [17, 130, 255].repeat(64 * 64), "{width} x {height}");
    }
    // Stripes as fine as can be: one that only looked at every sixteenth pixel would give black or white.
    let stripes = RgbImage::from_fn(1024, 1024, |x, _| Rgb([if x % 2 == 0 { 0 } else { 255 }; 3]));
    let pixels = read_picture(&save(folder.path(), "stripes.png", stripes), 64).expect("a good picture");
    assert!(pixels.iter().all(|byte| (120..=135).contains(byte)), "{:?}", &pixels[..12]);
    // Left black, right white: no value outside, and the halves stay where they are.
    let halves = RgbImage::from_fn(200, 100, |x, _| Rgb([if x < 100 { 40 } else { 210 }; 3]));
    let pixels = read_picture(&save(folder.path(), "halves.png", halves), 64).expect("a good picture");
    assert!(pixels.iter().all(|byte| (40..=210).contains(byte)));
    let columns: Vec<u8> = pixels.chunks(3).take(64).map(|pixel| pixel[0]).collect();
    assert_eq!((&columns[..31], &columns[33..]), (&[40; 31][..], &[210; 31][..]));
}

#[test]
fn a_jpeg_is_close_to_what_was_saved() {
    let folder = tempfile::tempdir().expect("a folder");
    let smooth = RgbImage::from_fn(64, 64, |x, y| Rgb([50 + 2 * x as u8, 200 - 2 * y as u8, 100]));
    let path = save(folder.path(), "a.jpg", smooth.clone());
    let pixels = read_picture(&path, 64).expect("a good picture");
    for (i, (found, expected)) in pixels.iter().zip(smooth.as_raw()).enumerate() {
        assert!(found.abs_diff(*expected) <= 12, "byte {i}: {found}, saved as {expected}");
    }
}

#[test]
fn a_turned_jpeg_is_turned_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("turned.jpg");
    // The camera was held upright: the file's rows are the scene's columns (orientation 6, turn by 90 degrees clockwise).
    let stored = RgbImage::from_fn(64, 32, |x, _| Rgb(if x < 32 { [220, 30, 30] } else { [30, 30, 220] }));
    let mut encoder = image::codecs::jpeg::JpegEncoder::new(std::fs::File::create(&path).expect("writable"));
    let orientation_6 = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    encoder.set_exif_metadata(orientation_6.to_vec()).expect("JPEG has it");
    encoder.encode_image(&stored).expect("written");
    let pixels = read_picture(&path, 16).expect("a good picture");
    let pixel = |row: usize, column: usize| &pixels[3 * (16 * row + column)..][..3];
    // Red, which was left, is on top.
    assert!(pixel(0, 0)[0] > 180 && pixel(0, 15)[0] > 180, "{:?} {:?}", pixel(0, 0), pixel(0, 15));
    assert!(pixel(15, 0)[2] > 180 && pixel(15, 15)[2] > 180, "{:?} {:?}", pixel(15, 0), pixel(15, 15));
}

/// Without printing a whole picture where there should be none.
fn refusal(path: &Path, side: usize) -> Error {
    read_picture(path, side).map(|pixels| pixels.len()).expect_err("no picture")
}

#[test]
fn what_is_no_picture_is_an_error_that_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let noise = RgbImage::from_fn(64, 64, |x, y| Rgb([(x * 37 + y * 101) as u8, (x * y) as u8, (x ^ y) as u8]));
    let png = std::fs::read(save(folder.path(), "a.png", noise.clone())).expect("just written");
    let jpeg = std::fs::read(save(folder.path(), "a.jpg", noise)).expect("just written");
    let mut flipped = png.clone();
    flipped[40] ^= 0x10;
    // IHDR of 40000 x 1 pixels, and of 30000 x 30000: limits, whatever its checksum.
    let claim = |width: u32, height: u32| {
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        bytes.extend([width.to_be_bytes(), height.to_be_bytes()].concat());
        bytes.extend([8, 2, 0, 0, 0]);
        bytes.extend(crc32(&bytes[12..]).to_be_bytes());
        bytes.extend(&png[33..]);
        bytes
    };
    let path = folder.path().join("picture");
    for (bytes, expectation) in [
        (&b""[..], "expected a PNG or JPEG picture, found an empty file"),
        (b"These are words.", "expected a PNG or JPEG picture (its first bytes are others)"),
        (b"GIF89a\x01\0\x01\0", "expected a PNG or JPEG picture, found Gif"),
        (&png[..8], "truncated"),
        (&png[..png.len() / 2], "truncated"),
        (&jpeg[..20], "truncated"),
        (&jpeg[..jpeg.len() / 2], "truncated"),
        (&jpeg[..jpeg.len() - 6], "truncated"),
        (&[&jpeg[..jpeg.len() / 2], &jpeg[..2]].concat(), "truncated"),
        (&flipped, "cannot be decoded"),
        (&claim(40_000, 1), "too large; the limits are 32768 pixels a side and 512 MiB"),
        (&claim(30_000, 30_000), "too large"),
        (&claim(0, 5), "cannot be decoded"),
    ] {
        std::fs::write(&path, bytes).expect("writable");
        let error = refusal(&path, 64);
        assert!(matches!(&error, Error::Data { path: named, .. } if *named == path), "{expectation}: {error:?}");
        assert!(error.to_string().contains(expectation), "{error}\nlacks: {expectation}");
    }
    let error = refusal(folder.path(), 64);
    assert!(error.to_string().contains("expected a PNG or JPEG picture, found a folder"), "{error}");
    let error = refusal(&folder.path().join("missing"), 64);
    assert!(matches!(error, Error::Io { action: "read", .. }), "{error:?}");
    let good = save(folder.path(), "good.png", all_different(2));
    for side in [0, 1 << 16, usize::MAX] {
        let error = refusal(&good, side);
        assert!(matches!(error, Error::Setting { .. }), "{error:?}");
    }
}

/// A camera's trailer may stand in the place of the end marker.
#[test]
fn a_jpeg_is_whole_if_its_data_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("picture");
    let noise = RgbImage::from_fn(64, 64, |x, y| Rgb([(x * 37 + y * 101) as u8, (x * y) as u8, (x ^ y) as u8]));
    let jpeg = std::fs::read(save(folder.path(), "a.jpg", noise)).expect("just written");
    let data = jpeg.strip_suffix(b"\xff\xd9").expect("the end marker");
    std::fs::write(&path, &jpeg).expect("writable");
    let whole = read_picture(&path, 64).expect("a good picture");
    for trailer in
        [&b""[..], &[&[0; 40][..], b"SEFH\0\0SEFT"].concat(), b"\xff\xe5\0\x04ab", b"\xff\xd8\xff\xe0", b"\xff"]
    {
        std::fs::write(&path, [data, trailer].concat()).expect("writable");
        assert_eq!(read_picture(&path, 64).expect("its data are whole"), whole, "{trailer:?}");
        // A trailer without a marker cannot be told from the data that it stands for.
        if trailer.is_empty() || trailer.starts_with(b"\xff\xd8") || trailer.starts_with(b"\xff\xe5") {
            for missing in (3..40).chain([data.len() / 3, data.len() / 2]) {
                std::fs::write(&path, [&data[..data.len() - missing], trailer].concat()).expect("writable");
                let error = refusal(&path, 64);
                assert!(error.to_string().contains("truncated"), "{missing} bytes are missing: {error}");
            }
        }
    }
}

/// The checksum of a PNG's chunks.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 })
    })
}

#[test]
fn a_network_takes_square_colour_pictures_or_none() {
    assert_eq!(side_of(12288).expect("64 x 64"), 64);
    assert_eq!(side_of(3).expect("1 x 1"), 1);
    for inputs in [0, 1, 2, 4, 6, 64 * 64, 12287, 12289, 3 * 64 * 63, usize::MAX] {
        let error = side_of(inputs).expect_err("no square");
        assert!(matches!(error, Error::Mismatch { .. }), "{error:?}");
        assert!(error.to_string().contains(&inputs.to_string()), "{error}");
    }
}

/// The formats that are decoded are those that were built in.
#[test]
fn only_png_and_jpeg_are_built_in() {
    let readable: Vec<ImageFormat> = ImageFormat::all().filter(|format| format.reading_enabled()).collect();
    assert_eq!(readable, [ImageFormat::Jpeg, ImageFormat::Png]);
}
