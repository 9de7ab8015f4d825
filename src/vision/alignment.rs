//! Alignment: the square crop in which a face's five landmarks lie where the embedder was trained to see them.

use fast_image_resize::images::Image;
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::RgbImage;

use super::affine::Affine;
use super::decode::Photo;

/// Source pixels a crop pixel beyond which the source is averaged down to so many first: bilinear sampling alone would skip pixels.
/// Averaged to one, a face of 250 px would come out softer than the same face at 200 px.
const REDUCE_BEYOND: f32 = 2.0;

/// The aligned crop of a face: `side` x `side` pixels, 8-bit RGB, rows from the top.
///
/// `landmarks` are pixel coordinates of the upright image, `template` those of the crop. `None` when the landmarks coincide and no
/// similarity exists.
pub fn aligned_crop(
    photo: &Photo,
    landmarks: &[[f32; 2]; 5],
    template: &[[f32; 2]; 5],
    side: u32,
    resizer: &mut Resizer,
) -> Option<Vec<u8>> {
    let crop_to_upright = Affine::similarity(template, landmarks)?;
    Some(warped_crop(photo, &crop_to_upright, side, resizer))
}

/// The square that `crop_to_upright` cuts out of the upright image: `side` x `side` pixels, 8-bit RGB, rows from the top.
/// Beyond the image's edge its border pixels go on.
pub fn warped_crop(photo: &Photo, crop_to_upright: &Affine, side: u32, resizer: &mut Resizer) -> Vec<u8> {
    let crop_to_stored = photo.orientation.upright_to_stored(photo.stored.dimensions()).after(crop_to_upright);
    let reduction = crop_to_stored.scale() / REDUCE_BEYOND;
    if reduction >= 1.0
        && let Some((region, stored_to_region)) =
            reduced_region(&photo.stored, &crop_to_stored, side, reduction, resizer)
    {
        let map = stored_to_region.after(&crop_to_stored);
        return warp(region.buffer(), (region.width(), region.height()), &map, side);
    }
    warp(photo.stored.as_raw(), photo.stored.dimensions(), &crop_to_stored, side)
}

/// The part of the image that the crop looks at, area-averaged to 1 in `reduction` pixels, and the map into it.
/// `None` when the crop lies wholly outside, or nearly so.
fn reduced_region(
    image: &RgbImage,
    crop_to_stored: &Affine,
    side: u32,
    reduction: f32,
    resizer: &mut Resizer,
) -> Option<(Image<'static>, Affine)> {
    let last = side as f32 - 1.0;
    let corners = [[0.0, 0.0], [last, 0.0], [0.0, last], [last, last]].map(|corner| crop_to_stored.apply(corner));
    let span = |axis: usize, length: u32| {
        let low = corners.iter().map(|c| c[axis]).fold(f32::INFINITY, f32::min) - 2.0 * reduction;
        let high = corners.iter().map(|c| c[axis]).fold(f32::NEG_INFINITY, f32::max) + 2.0 * reduction;
        let (low, high) = (low.floor().clamp(0.0, length as f32), high.ceil().clamp(0.0, length as f32));
        (high - low >= 1.0).then_some((low, high - low))
    };
    let ((left, width), (top, height)) = (span(0, image.width())?, span(1, image.height())?);
    let (columns, rows) = ((width / reduction).ceil().max(1.0) as u32, (height / reduction).ceil().max(1.0) as u32);
    let mut region = Image::new(columns, rows, PixelType::U8x3);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear)).crop(
        f64::from(left),
        f64::from(top),
        f64::from(width),
        f64::from(height),
    );
    resizer.resize(image, &mut region, &options).expect("both images are 8-bit RGB and the region lies inside");
    let (sx, sy) = (columns as f32 / width, rows as f32 / height);
    // Pixel centres: (p + 0.5 - left) * s - 0.5.
    Some((region, Affine { x: [sx, 0.0, (0.5 - left) * sx - 0.5], y: [0.0, sy, (0.5 - top) * sy - 0.5] }))
}

/// Samples `pixels` bilinearly at where `map` sends each crop pixel.
fn warp(pixels: &[u8], (width, height): (u32, u32), map: &Affine, side: u32) -> Vec<u8> {
    let mut crop = Vec::with_capacity(3 * (side * side) as usize);
    let (right, bottom) = (width as f32 - 1.0, height as f32 - 1.0);
    let row_bytes = 3 * width as usize;
    for row in 0..side {
        for column in 0..side {
            let [x, y] = map.apply([column as f32, row as f32]);
            let (x, y) = (x.clamp(0.0, right), y.clamp(0.0, bottom));
            let (left, top) = (x as usize, y as usize);
            let (fx, fy) = (x - left as f32, y - top as f32);
            let (next_x, next_y) = ((left + 1).min(right as usize), (top + 1).min(bottom as usize));
            let texel = |x: usize, y: usize| &pixels[y * row_bytes + 3 * x..y * row_bytes + 3 * x + 3];
            let (a, b, c, d) = (texel(left, top), texel(next_x, top), texel(left, next_y), texel(next_x, next_y));
            for channel in 0..3 {
                let mix =
                    |left: &[u8], right: &[u8]| f32::from(left[channel]) * (1.0 - fx) + f32::from(right[channel]) * fx;
                crop.push((mix(a, b) * (1.0 - fy) + mix(c, d) * fy + 0.5) as u8);
            }
        }
    }
    crop
}

#[cfg(test)]
mod tests {
    use super::super::orientation::Orientation;
    use super::*;
    use image::Rgb;
    use image::metadata::Orientation as Reference;

    const TEMPLATE: [[f32; 2]; 5] = [[38.0, 52.0], [74.0, 52.0], [56.0, 72.0], [42.0, 92.0], [71.0, 92.0]];

    fn gradient(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| Rgb([(x * 255 / width) as u8, (y * 255 / height) as u8, 128]))
    }

    fn photo(stored: RgbImage, orientation: Orientation) -> Photo {
        Photo { stored, orientation, declared: true }
    }

    #[test]
    fn a_crop_whose_landmarks_are_the_template_is_the_image_itself() {
        let image = gradient(112, 112);
        let crop =
            aligned_crop(&photo(image.clone(), Orientation::UPRIGHT), &TEMPLATE, &TEMPLATE, 112, &mut Resizer::new())
                .unwrap();
        let worst = crop.iter().zip(image.as_raw()).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(worst.unwrap() <= 1);
    }

    #[test]
    fn a_large_face_is_averaged_to_the_same_crop() {
        let landmarks = TEMPLATE.map(|[x, y]| [(x + 0.5) * 8.0 - 0.5, (y + 0.5) * 8.0 - 0.5]);
        let crop = aligned_crop(
            &photo(gradient(896, 896), Orientation::UPRIGHT),
            &landmarks,
            &TEMPLATE,
            112,
            &mut Resizer::new(),
        )
        .unwrap();
        let worst = crop.iter().zip(gradient(112, 112).as_raw()).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(worst.unwrap() <= 4, "{worst:?}");
    }

    #[test]
    fn a_face_has_one_crop_in_every_orientation() {
        let upright = gradient(300, 200);
        let landmarks = TEMPLATE.map(|[x, y]| [x * 1.4 + 60.0, y * 1.4 + 20.0]);
        let truth = aligned_crop(
            &photo(upright.clone(), Orientation::UPRIGHT),
            &landmarks,
            &TEMPLATE,
            112,
            &mut Resizer::new(),
        )
        .unwrap();
        // Each of these stored forms turns upright under the orientation beside it.
        for (value, inverse) in [(2, 2), (3, 3), (4, 4), (5, 5), (6, 8), (7, 7), (8, 6)] {
            let mut stored = image::DynamicImage::ImageRgb8(upright.clone());
            stored.apply_orientation(Reference::from_exif(inverse).unwrap());
            let crop = aligned_crop(
                &photo(stored.into_rgb8(), Orientation::from_value(value)),
                &landmarks,
                &TEMPLATE,
                112,
                &mut Resizer::new(),
            )
            .unwrap();
            let worst = crop.iter().zip(&truth).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(worst.unwrap() <= 1, "orientation {value}: {worst:?}");
        }
    }

    #[test]
    fn beyond_the_edge_the_border_goes_on() {
        let image = gradient(100, 100);
        let corner = *image.get_pixel(99, 99);
        for (scale, far) in [(1.0, 1e4), (5.0, 1e4), (5.0, 1e30)] {
            let landmarks = TEMPLATE.map(|[x, y]| [x * scale + far, y * scale + far]);
            // At 1e30 the landmarks coincide in 32 bits.
            if let Some(crop) = aligned_crop(
                &photo(image.clone(), Orientation::UPRIGHT),
                &landmarks,
                &TEMPLATE,
                112,
                &mut Resizer::new(),
            ) {
                assert!(crop.chunks_exact(3).all(|pixel| pixel == corner.0));
            }
        }
    }
}
