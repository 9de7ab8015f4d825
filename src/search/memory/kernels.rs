//! The inner loops of a scan, for the instructions that the running processor has.

#![allow(unsafe_code)] // A processor's own instructions: each is reached only where the processor was found to have it.

use multiversion::multiversion;

/// Members whose coarse halves lie side by side, four bytes of each: what AVX-512 holds at once.
pub const LANES: usize = 16;
const ROW: usize = 4 * LANES;

/// A member that may be near enough, and the inner product of the probe's codes with the coarse half of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    pub place: u32,
    pub product: i32,
}

/// What of a probe is compared with coarse halves.
#[derive(Clone, Debug)]
pub struct CoarseProbe {
    /// The codes that belong to the lower halves of a member's bytes, a row's in four.
    pub lower: Vec<[i8; 4]>,
    /// And to the upper halves.
    pub upper: Vec<[i8; 4]>,
    /// See [`Kernel::reaching`].
    pub factor: f32,
    /// See [`Kernel::reaching`].
    pub term: f32,
}

/// A probe that coarse halves are compared with, and what came of it.
#[derive(Debug)]
pub struct Asked<'a> {
    pub probe: &'a CoarseProbe,
    /// See [`Kernel::reaching`].
    pub floor: f32,
    pub hits: Vec<Hit>,
}

impl<'a> Asked<'a> {
    /// For the first time.
    pub fn of(probe: &'a CoarseProbe) -> Self {
        Self { probe, floor: f32::NEG_INFINITY, hits: Vec::new() }
    }
}

/// What goes through coarse halves.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    pub name: &'static str,
    run: fn(&Coarse<'_>, &mut [Asked<'_>]),
}

/// What it goes through: whole blocks, and a scale for each place, which is not a number where nobody is.
struct Coarse<'a> {
    halves: &'a [u8],
    scales: &'a [f32],
}

impl Kernel {
    /// Any processor's.
    pub const PORTABLE: Self = Self { name: "portable", run: portable };

    /// All that run here, the fastest first.
    pub fn all() -> Vec<Self> {
        let mut all = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vnni") {
                // SAFETY: it was asked whether these instructions are there.
                all.push(Self { name: "AVX-512 VNNI", run: |coarse, asked| unsafe { x86::avx512(coarse, asked) } });
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                // SAFETY: it was asked whether these instructions are there.
                all.push(Self { name: "AVX2", run: |coarse, asked| unsafe { x86::avx2(coarse, asked) } });
            }
        }
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("neon") {
            // SAFETY: it was asked whether these instructions are there.
            all.push(Self { name: "NEON", run: |coarse, asked| unsafe { arm::neon(coarse, asked) } });
        }
        all.push(Self::PORTABLE);
        all
    }

    /// The fastest that runs here.
    pub fn fastest() -> Self {
        static FASTEST: std::sync::OnceLock<Kernel> = std::sync::OnceLock::new();
        *FASTEST.get_or_init(|| {
            let fastest = Self::all()[0];
            tracing::info!(instructions = fastest.name, "scans of galleries have their kernel");
            fastest
        })
    }

    /// For each probe appends the members for which `scale * (factor * product + term)` reaches its floor, with the member's scale.
    pub fn reaching(&self, halves: &[u8], scales: &[f32], asked: &mut [Asked<'_>]) {
        (self.run)(&Coarse { halves, scales }, asked);
    }
}

impl Coarse<'_> {
    /// The blocks of so many rows, each with its scales and the first place.
    fn blocks(&self, rows: usize) -> impl Iterator<Item = (&[[u8; ROW]], &[f32; LANES], u32)> {
        let blocks = self.halves.as_chunks().0.chunks_exact(rows);
        let first = (0..).step_by(LANES);
        blocks.zip(self.scales.as_chunks().0).zip(first).map(|((block, scales), first)| (block, scales, first))
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn portable(coarse: &Coarse<'_>, asked: &mut [Asked<'_>]) {
    for Asked { probe, floor, hits } in asked {
        let (factor, term) = (probe.factor, probe.term);
        for (block, scales, first) in coarse.blocks(probe.lower.len()) {
            let mut products = [0i32; LANES];
            for (row, (lower, upper)) in block.iter().zip(probe.lower.iter().zip(&probe.upper)) {
                for (product, four) in products.iter_mut().zip(row.as_chunks::<4>().0) {
                    // At most 8 times 15 times 127.
                    let mut sum = 0i16;
                    for (place, both) in four.iter().enumerate() {
                        sum += i16::from(both & 15) * i16::from(lower[place]);
                        sum += i16::from(both >> 4) * i16::from(upper[place]);
                    }
                    *product += i32::from(sum);
                }
            }
            for (place, (product, scale)) in products.into_iter().zip(scales).enumerate() {
                if scale * (factor * product as f32 + term) >= *floor {
                    hits.push(Hit { place: first + place as u32, product });
                }
            }
        }
    }
}

/// The inner product of a probe's codes with the fine half of a member's.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2", "aarch64+neon"))]
pub fn fine_product(lower: &[i8], upper: &[i8], fine: &[u8]) -> i32 {
    let product = |(both, (lower, upper)): (&u8, (&i8, &i8))| {
        i32::from(both & 15) * i32::from(*lower) + i32::from(both >> 4) * i32::from(*upper)
    };
    fine.iter().zip(lower.iter().zip(upper)).map(product).sum()
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Asked, Coarse, Hit, LANES};

    /// Probes that share what is done for a row. Their sums have to fit into the processor's registers.
    const TOGETHER: usize = 4;
    const TOGETHER_AVX2: usize = 2;

    /// The probes' codes for each row, in 32 bits for the lower halves of a row's bytes and 32 for the upper.
    fn codes_of<const PROBES: usize>(asked: &[Asked<'_>; PROBES]) -> Vec<[[i32; 2]; PROBES]> {
        let bits = |four: [i8; 4]| i32::from_le_bytes(four.map(i8::cast_unsigned));
        let row =
            |row: usize| asked.each_ref().map(|Asked { probe, .. }| [probe.lower[row], probe.upper[row]].map(bits));
        (0..asked[0].probe.lower.len()).map(row).collect()
    }

    fn push(mut mask: u32, first: u32, products: &[i32; LANES], hits: &mut Vec<Hit>) {
        while mask != 0 {
            let lane = mask.trailing_zeros();
            hits.push(Hit { place: first + lane, product: products[lane as usize] });
            mask &= mask - 1;
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    pub fn avx512(coarse: &Coarse<'_>, asked: &mut [Asked<'_>]) {
        let (many, rest) = asked.as_chunks_mut::<TOGETHER>();
        many.iter_mut().for_each(|some| avx512_together(coarse, some));
        rest.as_chunks_mut::<1>().0.iter_mut().for_each(|one| avx512_together(coarse, one));
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    fn avx512_together<const PROBES: usize>(coarse: &Coarse<'_>, asked: &mut [Asked<'_>; PROBES]) {
        let (low, high) = (_mm512_set1_epi8(0x0f), _mm512_set1_epi8(0xf0_u8.cast_signed()));
        let codes = codes_of(asked);
        for (block, scales, first) in coarse.blocks(codes.len()) {
            let mut sums = [[_mm512_setzero_si512(); 2]; PROBES];
            for (row, codes) in block.iter().zip(&codes) {
                // SAFETY: a row has the 64 bytes.
                let both = unsafe { _mm512_loadu_si512(row.as_ptr().cast()) };
                let (lower, upper) = (_mm512_and_si512(both, low), _mm512_and_si512(both, high));
                for (sums, [for_lower, for_upper]) in sums.iter_mut().zip(codes) {
                    sums[0] = _mm512_dpbusd_epi32(sums[0], lower, _mm512_set1_epi32(*for_lower));
                    sums[1] = _mm512_dpbusd_epi32(sums[1], upper, _mm512_set1_epi32(*for_upper));
                }
            }
            // SAFETY: there are 16 scales.
            let scales = unsafe { _mm512_loadu_ps(scales.as_ptr()) };
            for (asked, [lower, upper]) in asked.iter_mut().zip(sums) {
                // The upper halves were not moved down: their sum is 16 times too large.
                let sum = _mm512_add_epi32(lower, _mm512_srai_epi32::<4>(upper));
                let factor = _mm512_set1_ps(asked.probe.factor);
                let term = _mm512_set1_ps(asked.probe.term);
                let reach = _mm512_mul_ps(scales, _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), factor, term));
                let mask = _mm512_cmp_ps_mask::<_CMP_GE_OQ>(reach, _mm512_set1_ps(asked.floor));
                if mask != 0 {
                    let mut products = [0; LANES];
                    // SAFETY: there is room for 16 numbers.
                    unsafe { _mm512_storeu_si512(products.as_mut_ptr().cast(), sum) };
                    push(u32::from(mask), first, &products, &mut asked.hits);
                }
            }
        }
    }

    #[target_feature(enable = "avx2,fma")]
    pub fn avx2(coarse: &Coarse<'_>, asked: &mut [Asked<'_>]) {
        let (many, rest) = asked.as_chunks_mut::<TOGETHER_AVX2>();
        many.iter_mut().for_each(|some| avx2_together(coarse, some));
        rest.as_chunks_mut::<1>().0.iter_mut().for_each(|one| avx2_together(coarse, one));
    }

    /// Rows whose sums fit into 16 bits: eight times 15 times 127 each, in two numbers.
    const ROWS: usize = 4;

    #[target_feature(enable = "avx2,fma")]
    fn avx2_together<const PROBES: usize>(coarse: &Coarse<'_>, asked: &mut [Asked<'_>; PROBES]) {
        let (low, ones) = (_mm256_set1_epi8(0x0f), _mm256_set1_epi16(1));
        let codes = codes_of(asked);
        for (block, scales, first) in coarse.blocks(codes.len()) {
            let mut sums = [[_mm256_setzero_si256(); 2]; PROBES];
            for (rows, codes) in block.chunks(ROWS).zip(codes.chunks(ROWS)) {
                let mut some = [[_mm256_setzero_si256(); 2]; PROBES];
                for (row, codes) in rows.iter().zip(codes) {
                    for (half, row) in row.as_chunks::<32>().0.iter().enumerate() {
                        // SAFETY: half a row has the 32 bytes.
                        let both = unsafe { _mm256_loadu_si256(row.as_ptr().cast()) };
                        let lower = _mm256_and_si256(both, low);
                        let upper = _mm256_and_si256(_mm256_srli_epi16::<4>(both), low);
                        for (some, [for_lower, for_upper]) in some.iter_mut().zip(codes) {
                            let products = _mm256_maddubs_epi16(lower, _mm256_set1_epi32(*for_lower));
                            some[half] = _mm256_add_epi16(some[half], products);
                            let products = _mm256_maddubs_epi16(upper, _mm256_set1_epi32(*for_upper));
                            some[half] = _mm256_add_epi16(some[half], products);
                        }
                    }
                }
                for (sums, some) in sums.iter_mut().zip(some) {
                    for (sum, some) in sums.iter_mut().zip(some) {
                        *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(some, ones));
                    }
                }
            }
            for (asked, sums) in asked.iter_mut().zip(sums) {
                let factor = _mm256_set1_ps(asked.probe.factor);
                let term = _mm256_set1_ps(asked.probe.term);
                let mut mask = 0;
                for (half, (sum, scales)) in sums.iter().zip(scales.as_chunks::<8>().0).enumerate() {
                    // SAFETY: there are 8 scales.
                    let scales = unsafe { _mm256_loadu_ps(scales.as_ptr()) };
                    let reach = _mm256_mul_ps(scales, _mm256_fmadd_ps(_mm256_cvtepi32_ps(*sum), factor, term));
                    let reaches = _mm256_cmp_ps::<_CMP_GE_OQ>(reach, _mm256_set1_ps(asked.floor));
                    mask |= _mm256_movemask_ps(reaches).cast_unsigned() << (8 * half);
                }
                if mask != 0 {
                    let mut products = [0; LANES];
                    for (products, sum) in products.as_chunks_mut::<8>().0.iter_mut().zip(sums) {
                        // SAFETY: there is room for 8 numbers.
                        unsafe { _mm256_storeu_si256(products.as_mut_ptr().cast(), sum) };
                    }
                    push(mask, first, &products, &mut asked.hits);
                }
            }
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use std::arch::aarch64::*;

    use super::{Asked, Coarse, Hit, LANES};

    /// Rows whose sums fit into 16 bits: two times 15 times 127 each.
    const ROWS: usize = 8;
    /// Registers of 16 bytes in a row, of four members each.
    const QUARTERS: usize = LANES / 4;

    #[target_feature(enable = "neon")]
    pub fn neon(coarse: &Coarse<'_>, asked: &mut [Asked<'_>]) {
        let low = vdupq_n_u8(0x0f);
        for Asked { probe, floor, hits } in asked {
            let codes: Vec<_> =
                probe.lower.iter().zip(&probe.upper).map(|(lower, upper)| [twice(lower), twice(upper)]).collect();
            let (factor, term) = (vdupq_n_f32(probe.factor), vdupq_n_f32(probe.term));
            for (block, scales, first) in coarse.blocks(codes.len()) {
                // Of two members each, as two sums a member.
                let mut sums = [vdupq_n_s32(0); 2 * QUARTERS];
                for (rows, codes) in block.chunks(ROWS).zip(codes.chunks(ROWS)) {
                    let mut some = [vdupq_n_s16(0); 2 * QUARTERS];
                    for (row, [for_lower, for_upper]) in rows.iter().zip(codes) {
                        for (two, bytes) in some.as_chunks_mut::<2>().0.iter_mut().zip(row.as_chunks::<16>().0) {
                            // SAFETY: a quarter of a row has the 16 bytes.
                            let both = unsafe { vld1q_u8(bytes.as_ptr()) };
                            let lower = vreinterpretq_s8_u8(vandq_u8(both, low));
                            let upper = vreinterpretq_s8_u8(vshrq_n_u8::<4>(both));
                            two[0] = vmlal_s8(two[0], vget_low_s8(lower), *for_lower);
                            two[0] = vmlal_s8(two[0], vget_low_s8(upper), *for_upper);
                            two[1] = vmlal_s8(two[1], vget_high_s8(lower), *for_lower);
                            two[1] = vmlal_s8(two[1], vget_high_s8(upper), *for_upper);
                        }
                    }
                    for (sum, some) in sums.iter_mut().zip(some) {
                        *sum = vpadalq_s16(*sum, some);
                    }
                }
                let quarters = sums.as_chunks::<2>().0.iter().zip(scales.as_chunks::<4>().0);
                for (([one, other], scales), first) in quarters.zip((first..).step_by(4)) {
                    let products = vpaddq_s32(*one, *other);
                    // SAFETY: there are 4 scales.
                    let scales = unsafe { vld1q_f32(scales.as_ptr()) };
                    let reach = vmulq_f32(scales, vaddq_f32(vmulq_f32(factor, vcvtq_f32_s32(products)), term));
                    let reaches = vcgeq_f32(reach, vdupq_n_f32(*floor));
                    if vmaxvq_u32(reaches) != 0 {
                        let (mut told, mut is_hit) = ([0; 4], [0; 4]);
                        // SAFETY: there is room for 4 numbers in each.
                        unsafe {
                            vst1q_s32(told.as_mut_ptr(), products);
                            vst1q_u32(is_hit.as_mut_ptr(), reaches);
                        }
                        let all = (first..).zip(told).zip(is_hit).filter(|(_, is_hit)| *is_hit != 0);
                        hits.extend(all.map(|((place, product), _)| Hit { place, product }));
                    }
                }
            }
        }
    }

    /// The codes of a row, for two members.
    #[target_feature(enable = "neon")]
    fn twice(codes: &[i8; 4]) -> int8x8_t {
        vreinterpret_s8_s32(vdup_n_s32(i32::from_le_bytes(codes.map(i8::cast_unsigned))))
    }
}
