//! The formats of images, and which of them a server takes.

use clap::ValueEnum;
use image::ImageFormat;

/// A format that can be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// JPEG.
    Jpeg,
    /// PNG.
    Png,
    /// WebP with loss, one picture.
    Webp,
}

impl Format {
    /// The format that an image's first bytes were taken for, if it can be decoded.
    pub(super) fn of(kind: ImageFormat) -> Option<Self> {
        match kind {
            ImageFormat::Jpeg => Some(Self::Jpeg),
            ImageFormat::Png => Some(Self::Png),
            ImageFormat::WebP => Some(Self::Webp),
            _ => None,
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Some formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Formats(u8);

impl Formats {
    /// Every format that can be decoded.
    pub const ALL: Self = Self(u8::MAX);

    /// These.
    pub fn of(formats: &[Format]) -> Self {
        Self(formats.iter().fold(0, |bits, format| bits | format.bit()))
    }

    /// Whether this is one of them.
    pub fn has(self, format: Format) -> bool {
        self.0 & format.bit() != 0
    }
}
