from .bridge import (
    Bridge as Bridge,
    I2sb as I2sb,
    OrnsteinUhlenbeck as OrnsteinUhlenbeck,
    SchroedingerBridge as SchroedingerBridge,
    SchroedingerBridgeVP as SchroedingerBridgeVP,
    Shifted as Shifted,
    bridge_marginal as bridge_marginal,
    sample_bridge as sample_bridge,
)
from .coefficients import (
    broadcast as broadcast,
)
from .condition import (
    Condition as Condition,
)
from .denoiser import (
    Denoiser as Denoiser,
    FromEps as FromEps,
    FromFlow as FromFlow,
    FromScore as FromScore,
    FromV as FromV,
    FromX0 as FromX0,
    Preconditioned as Preconditioned,
)
from .flow_map import (
    FlowMap as FlowMap,
)
from .forward import (
    marginal as marginal,
    transition as transition,
)
from .grid import (
    karras as karras,
    quadratic as quadratic,
    trailing as trailing,
    uniform as uniform,
    uniform_flow as uniform_flow,
    uniform_log_snr as uniform_log_snr,
)
from .noise import (
    Keyed as Keyed,
    Noise as Noise,
)
from .sample import (
    Ancestral as Ancestral,
    Consistency as Consistency,
    Ddim as Ddim,
    Deis as Deis,
    Dpm2 as Dpm2,
    DpmSolverPP2M as DpmSolverPP2M,
    DpmSolverPP2S as DpmSolverPP2S,
    DpmSolverPP3M as DpmSolverPP3M,
    DpmSolverPP3S as DpmSolverPP3S,
    Euler as Euler,
    Heun as Heun,
    HeunChurn as HeunChurn,
    Kutta3 as Kutta3,
    Lms as Lms,
    Midpoint as Midpoint,
    Plan as Plan,
    PredictorCorrector as PredictorCorrector,
    Sampler as Sampler,
    TrigAdams as TrigAdams,
    UniPC as UniPC,
    sample_adaptive as sample_adaptive,
)
from .schedule import (
    Cosine as Cosine,
    Edm as Edm,
    RectifiedFlow as RectifiedFlow,
    Schedule as Schedule,
    ShiftedSnr as ShiftedSnr,
    Sigmoid as Sigmoid,
    Tabulated as Tabulated,
    VarianceExploding as VarianceExploding,
    VariancePreserving as VariancePreserving,
    log_snr as log_snr,
)
from .variance import (
    WithVariance as WithVariance,
)
