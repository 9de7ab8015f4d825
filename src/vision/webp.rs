//! What a WebP file holds, found out before any of it is decoded.
//!
//! A file is a list of chunks. Only the picture is handed to the decoder, as the plain file that it would be alone: the decoder would
//! allocate what any other chunk says, and trusts the outer header where the picture has another size.

/// The bytes before a chunk's own.
const CHUNK_HEADER: usize = 8;
/// Of the flags of an extended file, the one that says that the picture moves.
const ANIMATION: u8 = 0b10;
/// How the pixels of a picture begin, behind three bytes of flags.
const START_CODE: [u8; 3] = [0x9d, 0x01, 0x2a];
/// What some writers put before the Exif block, as JPEG has it.
const EXIF_PREFIX: &[u8] = b"Exif\0\0";

/// A picture that does not move, compressed as a frame of VP8, and its Exif block.
#[derive(Debug, PartialEq, Eq)]
pub struct WebP<'a> {
    frame: &'a [u8],
    /// TIFF header first.
    pub exif: Option<&'a [u8]>,
    /// Width and height in pixels.
    pub size: (u32, u32),
}

impl<'a> WebP<'a> {
    /// Finds the parts of a file. The error says what is wrong with it, or why it is not taken.
    pub fn read(file: &'a [u8]) -> Result<Self, &'static str> {
        const CUT: &str = "a WebP that ends too soon";
        let (kind, body) = chunk(file).ok_or(CUT)?;
        let mut chunks = body.strip_prefix(b"WEBP").filter(|_| kind == b"RIFF").ok_or("no WebP")?;
        let (mut frame, mut exif) = (None, None);
        while !chunks.is_empty() {
            let (kind, body) = chunk(chunks).ok_or(CUT)?;
            match kind {
                b"VP8 " => frame = frame.or(Some(body)),
                b"EXIF" => exif = exif.or(Some(body)),
                // A file of 3.8 MB and 80 x 80 pixels can be made that takes its decoder 1.3 GB: a table for each of 327,680 codes.
                b"VP8L" => return Err("a WebP without loss, which is not taken"),
                b"VP8X" if body.first().is_some_and(|flags| flags & ANIMATION != 0) => return Err("a WebP that moves"),
                _ => {}
            }
            // A chunk of an odd length is filled up by a byte, which some writers forget at the end.
            let length = CHUNK_HEADER + body.len() + body.len() % 2;
            chunks = chunks.get(length..).unwrap_or_default();
        }
        let frame = frame.ok_or("a WebP without a picture")?;
        let exif = exif.map(|block| block.strip_prefix(EXIF_PREFIX).unwrap_or(block));
        Ok(Self { frame, exif, size: size(frame).ok_or("a WebP whose picture does not begin as one")? })
    }

    /// The picture without its transparency, as a file of nothing else.
    pub fn alone(&self) -> Vec<u8> {
        let padding = self.frame.len() % 2;
        let length = b"WEBP".len() + CHUNK_HEADER + self.frame.len() + padding;
        let mut file = Vec::with_capacity(CHUNK_HEADER + length);
        file.extend_from_slice(b"RIFF");
        file.extend_from_slice(&(length as u32).to_le_bytes());
        file.extend_from_slice(b"WEBPVP8 ");
        file.extend_from_slice(&(self.frame.len() as u32).to_le_bytes());
        file.extend_from_slice(self.frame);
        file.resize(file.len() + padding, 0);
        file
    }
}

/// The kind and the body of the chunk that comes first.
fn chunk(bytes: &[u8]) -> Option<(&[u8; 4], &[u8])> {
    let (kind, rest) = bytes.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    Some((kind, rest.get(..u32::from_le_bytes(*length) as usize)?))
}

/// Width and height of a frame: fourteen bits each.
fn size(frame: &[u8]) -> Option<(u32, u32)> {
    let [_, _, _, start @ .., w0, w1, h0, h1] = frame.first_chunk::<10>()?;
    let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
    (*start == START_CODE).then(|| (side(*w0, *w1), side(*h0, *h1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &[u8] = include_bytes!("../../fuzz/seeds/decode/plain.webp");
    const EXTENDED: &[u8] = include_bytes!("../../fuzz/seeds/decode/alpha-exif.webp");

    #[test]
    fn the_parts_of_a_file_are_found() {
        let plain = WebP::read(PLAIN).unwrap();
        assert_eq!((plain.size, plain.exif), ((120, 90), None));
        let extended = WebP::read(EXTENDED).unwrap();
        assert_eq!(extended.size, (120, 90));
        assert!(matches!(extended.exif.unwrap(), [b'I', b'I', b'*', 0, ..] | [b'M', b'M', 0, b'*', ..]));
        assert_eq!(plain.alone(), PLAIN);
        let alone = extended.alone();
        assert_eq!(WebP::read(&alone), Ok(WebP { exif: None, ..extended }));
    }

    #[test]
    fn the_pictures_own_size_counts_and_not_the_files() {
        let mut lying = EXTENDED.to_vec();
        // The canvas of the extended header, less one, in three bytes each.
        lying[24..30].copy_from_slice(&[79, 0, 0, 79, 0, 0]);
        assert_eq!(WebP::read(&lying).unwrap().size, (120, 90));
    }

    #[test]
    fn what_a_chunk_says_of_its_length_is_not_believed() {
        let exif = EXTENDED.windows(4).position(|window| window == b"EXIF").unwrap();
        let mut lying = EXTENDED.to_vec();
        lying[exif + 4..exif + 8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(WebP::read(&lying), Err("a WebP that ends too soon"));
    }

    #[test]
    fn what_moves_is_lossless_or_cut_is_not_taken() {
        let refusal = |file: &[u8]| WebP::read(file).unwrap_err();
        assert_eq!(refusal(include_bytes!("../../fuzz/seeds/decode/animated.webp")), "a WebP that moves");
        let lossless = refusal(include_bytes!("../../fuzz/seeds/decode/lossless.webp"));
        assert_eq!(lossless, "a WebP without loss, which is not taken");
        for length in 0..PLAIN.len() {
            assert!(WebP::read(&PLAIN[..length]).is_err(), "{length} bytes");
        }
        assert_eq!(refusal(b"RIFF\x04\0\0\0WEBP"), "a WebP without a picture");
        assert_eq!(refusal(b"RIFF\x04\0\0\0WAVE"), "no WebP");
    }
}
