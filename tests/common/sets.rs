//! Writing picture sets as HDF5 files: a small good one, and everything that can be wrong with its structure. No times are
//! written, so that equal files have equal bytes.

use std::fmt::Debug;
use std::path::Path;
use std::str::FromStr;

use hdf5::plist::dataset_create::Layout;
use hdf5::types::{FixedAscii, FixedUnicode, VarLenAscii, VarLenUnicode};
use hdf5::{File, H5Type};
use ndarray::{Array, Array1, Array4, Dimension, arr1};

/// Puts one data set into a file, or something in its place.
pub type Write = fn(&File);

/// Four pictures of 2 x 5.
pub fn pixels() -> Array4<u8> {
    // (pictures, height, width, 3)
    Array::from_shape_fn((4, 2, 5, 3), |(i, row, column, channel)| (60 * i + 30 * row + 3 * column + channel) as u8)
}

pub const LABELS: [i64; 4] = [0, 1, 1, 0];
pub const CLASSES: [&str; 2] = ["non-cat", "cat"];

/// A good training file but for one data set, which `writer` puts there or leaves out.
pub fn write(path: &Path, replaced: &str, writer: Write) {
    let file = File::with_options().with_fcpl(|creation| creation.obj_track_times(false)).create(path);
    write_into(&file.expect("the folder is writable"), replaced, writer);
}

/// The usual file behind a user block of so many bytes.
pub fn write_behind(path: &Path, block: u64) {
    let file = File::with_options().with_fcpl(|creation| creation.userblock(block)).create(path);
    write_into(&file.expect("the folder is writable"), "", |_| ());
}

/// The same in the newest format of libhdf5: other headers, other indices of chunks.
pub fn write_latest(path: &Path, replaced: &str, writer: Write) {
    let mut options = File::with_options();
    options.with_fcpl(|creation| creation.obj_track_times(false)).with_fapl(|access| access.libver_latest());
    write_into(&options.create(path).expect("the folder is writable"), replaced, writer);
}

fn write_into(file: &File, replaced: &str, writer: Write) {
    let usual: [(&str, Write); 3] = [
        ("train_set_x", |f| x(f, pixels())),
        ("train_set_y", |f| y(f, &LABELS)),
        ("list_classes", |f| ascii::<7>(f, &CLASSES)),
    ];
    for (name, usual) in usual {
        if name == replaced { writer(file) } else { usual(file) }
    }
}

pub fn put<T: H5Type, D: Dimension>(file: &File, name: &str, values: Array<T, D>) {
    let set = file.new_dataset_builder().with_data(&values).obj_track_times(false);
    set.create(name).expect("libhdf5 writes it");
}

pub fn x<T: H5Type, D: Dimension>(file: &File, values: Array<T, D>) {
    put(file, "train_set_x", values);
}

pub fn y<T: H5Type + Clone>(file: &File, values: &[T]) {
    put(file, "train_set_y", arr1(values));
}

pub fn ascii<const N: usize>(file: &File, names: &[&str]) {
    let name = |name: &&str| FixedAscii::<N>::from_ascii(name).expect("short and ASCII");
    put(file, "list_classes", names.iter().map(name).collect::<Array1<_>>());
}

pub fn unicode<S: H5Type + FromStr<Err: Debug>>(file: &File, names: [&str; 2]) {
    let names = names.map(|name| name.parse::<S>().expect("short and without NUL"));
    put(file, "list_classes", Array1::from_iter(names));
}

/// Not ASCII, whatever its type says.
pub fn latin_1(file: &File) {
    // SAFETY: not ASCII, as in a foreign file; only ever written, never taken as a `str`.
    let name = unsafe { FixedAscii::<7>::from_ascii_unchecked(b"chass\xe9") };
    put(file, "list_classes", arr1(&[name, name]));
}

/// What is as good as the usual.
pub const GOOD: &[(&str, Write)] = &[
    ("", |_| ()),
    ("train_set_y", |f| y(f, &LABELS.map(|label| label as u8))),
    ("train_set_y", |f| y(f, &LABELS.map(|label| label as i16))),
    ("train_set_y", |f| y(f, &LABELS.map(|label| label as u64))),
    ("list_classes", |f| ascii::<64>(f, &CLASSES)),
    ("list_classes", |f| unicode::<FixedUnicode<9>>(f, CLASSES)),
    ("list_classes", |f| unicode::<VarLenUnicode>(f, CLASSES)),
    ("list_classes", |f| {
        put(f, "list_classes", arr1(&CLASSES.map(|name| VarLenAscii::from_ascii(name).expect("ASCII"))))
    }),
    ("train_set_x", chunked),
    ("train_set_x", compressed),
    ("train_set_x", compact),
    ("train_set_x", hard_link),
    ("train_set_x", |f| {
        x(f, pixels());
        circle(f);
    }),
];

/// Chunks that do not divide the shape.
pub fn chunked(file: &File) {
    let pixels = pixels();
    let set = file.new_dataset_builder().with_data(&pixels).chunk((3, 2, 2, 3)).obj_track_times(false);
    set.create("train_set_x").expect("libhdf5 writes it");
}

pub fn compressed(file: &File) {
    let pixels = pixels();
    let set = file.new_dataset_builder().with_data(&pixels).chunk((1, 2, 5, 3)).obj_track_times(false);
    set.shuffle().deflate(6).fletcher32().create("train_set_x").expect("libhdf5 writes it");
}

pub fn compact(file: &File) {
    let pixels = pixels();
    let set = file.new_dataset_builder().with_data(&pixels).layout(Layout::Compact).obj_track_times(false);
    set.create("train_set_x").expect("libhdf5 writes it");
}

/// The same data set under two names: harmless.
pub fn hard_link(file: &File) {
    put(file, "x", pixels());
    file.link_hard("x", "train_set_x").expect("libhdf5 writes it");
}

/// A group that contains itself and its parent: harmless, for nobody walks through groups.
pub fn circle(file: &File) {
    let group = file.create_group_builder().obj_track_times(false).create("circle").expect("libhdf5 writes it");
    group.link_hard("/circle", "itself").expect("libhdf5 writes it");
    group.link_hard("/", "parent").expect("libhdf5 writes it");
}

pub fn soft_link(file: &File) {
    put(file, "x", pixels());
    file.link_soft("/x", "train_set_x").expect("libhdf5 writes it");
}

/// Two soft links that point to each other.
pub fn soft_circle(file: &File) {
    file.link_soft("/x", "train_set_x").expect("libhdf5 writes it");
    file.link_soft("/train_set_x", "x").expect("libhdf5 writes it");
}

pub fn external_link(file: &File) {
    file.link_external("other.h5", "train_set_x", "train_set_x").expect("libhdf5 writes it");
}

pub fn group(file: &File) {
    file.create_group_builder().obj_track_times(false).create("train_set_x").expect("libhdf5 writes it");
}

/// The one thing here that has a time.
pub fn named_type(file: &File) {
    let kind = hdf5::Datatype::from_type::<u8>().expect("libhdf5 has it");
    file.commit_datatype("train_set_x", &kind).expect("libhdf5 writes it");
}

/// The pixels are the first bytes of a file that everybody may read.
pub fn external_storage(file: &File) {
    let set = file.new_dataset::<u8>().shape((4, 2, 5, 3)).external("/etc/passwd", 0, 120).obj_track_times(false);
    set.create("train_set_x").expect("libhdf5 writes it");
}

/// The pixels are those of another data set.
pub fn virtual_set(file: &File) {
    put(file, "x", pixels());
    let shape = (4, 2, 5, 3);
    let set = file.new_dataset::<u8>().shape(shape).virtual_map(".", "/x", shape, .., shape, ..).obj_track_times(false);
    set.create("train_set_x").expect("libhdf5 writes it");
}

/// Chunks are allocated when they are written: these make small files that claim much.
fn claim(file: &File, pictures: usize, side: usize) {
    let set = file.new_dataset::<u8>().chunk((1, 64, 64, 3)).shape((pictures, side, side, 3)).obj_track_times(false);
    set.create("train_set_x").expect("libhdf5 writes it");
}

pub fn claim_3_tib(file: &File) {
    claim(file, 1 << 20, 1 << 10);
}

/// Within the limit, and not one chunk of it exists.
pub fn claim_804_mib(file: &File) {
    claim(file, 1 << 16, 64);
}

/// All but one chunk are there.
pub fn a_chunk_is_missing(file: &File) {
    let set = file.new_dataset::<u8>().chunk((1, 2, 5, 3)).shape((4, 2, 5, 3)).obj_track_times(false);
    let set = set.create("train_set_x").expect("libhdf5 writes it");
    set.write_slice(&pixels().slice(ndarray::s![..3, .., .., ..]), (..3, .., .., ..)).expect("libhdf5 writes it");
}

/// Contiguous, and never written.
pub fn nothing_written(file: &File) {
    let set = file.new_dataset::<u8>().shape((4, 2, 5, 3)).obj_track_times(false);
    set.create("train_set_x").expect("libhdf5 writes it");
}
