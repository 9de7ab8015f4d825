//! Arithmetic of embeddings: vectors of unit length, compared by their cosine.

/// The cosine of two vectors of unit length and equally many numbers: in 64 bits, which hold the product of two 32-bit numbers exactly.
pub fn cosine(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
}

/// The vector of a user: the direction of the mean of its faces' vectors, which all have unit length. `None` without faces, or
/// when they cancel out.
pub fn mean_direction(embeddings: &[Vec<f32>]) -> Option<Vec<f32>> {
    let mut sum = vec![0.0f64; embeddings.first()?.len()];
    for embedding in embeddings {
        sum.iter_mut().zip(embedding).for_each(|(total, value)| *total += f64::from(*value));
    }
    let length = sum.iter().map(|v| v * v).sum::<f64>().sqrt();
    (length > 1e-6).then(|| sum.iter().map(|v| (v / length) as f32).collect())
}

#[cfg(test)]
mod tests {
    use super::mean_direction;

    #[test]
    fn a_users_vector_is_the_mean_direction_of_its_faces() {
        assert_eq!(mean_direction(&[]), None);
        assert_eq!(mean_direction(&[vec![0.0, 1.0]]), Some(vec![0.0, 1.0]));
        let half = 0.5f32.sqrt();
        assert_eq!(mean_direction(&[vec![0.0, 1.0], vec![1.0, 0.0]]), Some(vec![half, half]));
        assert_eq!(mean_direction(&[vec![1.0, 0.0], vec![-1.0, 0.0]]), None);
    }
}
