//! What runs the nets: ONNX Runtime's own kernels, or an execution provider that a build of the library brings along.

use clap::ValueEnum;
use ort::ep::{CUDA, CoreML, ExecutionProvider, ExecutionProviderDispatch, OpenVINO};
use strum::{Display, VariantArray};

/// The execution providers that this server knows how to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, ValueEnum, VariantArray)]
#[strum(serialize_all = "lowercase")]
pub enum Provider {
    /// ONNX Runtime's own kernels. Every build has them.
    #[default]
    Cpu,
    /// Intel's OpenVINO, on the processor.
    Openvino,
    /// A card of NVIDIA.
    Cuda,
    /// Apple's Core ML.
    Coreml,
}

impl Provider {
    /// Those that the loaded library was built with.
    pub fn offered() -> ort::Result<Vec<Self>> {
        let mut offered = Vec::new();
        for provider in Self::VARIANTS {
            if provider.is_offered()? {
                offered.push(*provider);
            }
        }
        Ok(offered)
    }

    fn is_offered(self) -> ort::Result<bool> {
        match self {
            Self::Cpu => Ok(true),
            Self::Openvino => OpenVINO::is_available(),
            Self::Cuda => CUDA::is_available(),
            Self::Coreml => CoreML::is_available(),
        }
    }

    /// What to register in a session; nothing for what is always there. A session that cannot have it fails.
    pub(super) fn dispatch(self) -> Option<ExecutionProviderDispatch> {
        let provider = match self {
            Self::Cpu => return None,
            // One thread, as for a session of ONNX Runtime: the worker pool is where the cores are shared.
            Self::Openvino => OpenVINO::default().with_device_type("CPU").with_num_threads(1).build(),
            Self::Cuda => CUDA::default().build(),
            Self::Coreml => CoreML::default().build(),
        };
        Some(provider.error_on_failure())
    }

    /// Crops a run of a net: enough to amortise the call, few enough to keep activations small. A card wants more at once.
    pub(super) fn batch(self) -> usize {
        match self {
            Self::Cpu | Self::Openvino => 8,
            Self::Cuda | Self::Coreml => 32,
        }
    }

    /// How to get a build of the library that has it.
    pub(super) fn remedy(self) -> &'static str {
        match self {
            Self::Cpu => "name another library with --onnxruntime, or none",
            Self::Openvino => {
                "`python3 -m pip install --no-deps --target openvino onnxruntime-openvino` brings a library that has it: name \
                 openvino/onnxruntime/capi/libonnxruntime.so.* with --onnxruntime"
            }
            Self::Cuda => {
                "`python3 -m pip install --no-deps --target gpu onnxruntime-gpu` brings a library that has it: name \
                 gpu/onnxruntime/capi/libonnxruntime.so.* with --onnxruntime; it also needs NVIDIA's driver, CUDA and cuDNN"
            }
            Self::Coreml => "builds of ONNX Runtime for macOS have it: `python3 models/setup.py` fetches one there",
        }
    }
}
