//! Sizes and colours.

use plotters::style::RGBColor;

/// Width of every picture, pixels.
pub(crate) const WIDTH: u32 = 960;
/// Height of a chart of lines, pixels.
pub(crate) const HEIGHT: u32 = 420;
/// Space around it.
pub(crate) const MARGIN: u32 = 16;
/// The font, by its generic family, so that every browser has it.
pub(crate) const FONT: &str = "sans-serif";
/// Size of the title, pixels.
pub(crate) const TITLE_SIZE: u32 = 18;
/// Size of all other texts, pixels.
pub(crate) const TEXT_SIZE: u32 = 13;
/// Where the label of a moment or a span begins, pixels from its place.
pub(crate) const BESIDE: (i32, i32) = (4, 2);
/// Colour of texts and axes.
pub(crate) const INK: RGBColor = RGBColor(0x24, 0x29, 0x2f);
/// Colour of the grid.
pub(crate) const GRID: RGBColor = RGBColor(0xe3, 0xe7, 0xeb);
/// Colours of series, in order. They differ for those who do not see red and green apart (Okabe and Ito).
pub(crate) const SERIES: [RGBColor; 6] = [
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0xe6, 0x9f, 0x00),
    RGBColor(0x56, 0xb4, 0xe9),
];
