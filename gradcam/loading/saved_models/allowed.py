"""The operations that a file may bring along: they compute, and do nothing else.

Derived from TensorFlow's registry, then read by hand. Allowed is what turns tensors into tensors,
draws random numbers, steers the flow, or keeps state in variables and in tables whose contents are
in the file. Refused is what touches files, the network, other devices or code of the host, what
reads programs out of values, and what outlives a run. Whatever stands in neither list is refused as
well; a test walks the registry of the installed TensorFlow, so that a person decides about what is
new. Names that an older TensorFlow doesn't have do no harm.
"""

from __future__ import annotations

import re

_COMPUTING = """
# arithmetic
Abs AccumulateNV2 Acos Acosh Add AddV2 All Angle Any ApproximateEqual ArgMax ArgMin Asin Asinh
Atan Atan2 Atanh BatchMatMul BatchMatMulV2 BatchMatMulV3 BesselI0 BesselI0e BesselI1 BesselI1e
BesselJ0 BesselJ1 BesselK0 BesselK0e BesselK1 BesselK1e BesselY0 BesselY1 Betainc Bincount
BitwiseAnd BitwiseOr BitwiseXor Bucketize Cast Ceil ClipByValue Complex ComplexAbs Cos Cosh Cross
Cumprod Cumsum CumulativeLogsumexp Dawsn DenseBincount Digamma Div DivNoNan Equal Erf Erfc Erfinv
EuclideanNorm Exp Expint Expm1 Floor FloorDiv FloorMod FresnelCos FresnelSin Greater GreaterEqual
HistogramFixedWidth Igamma IgammaGradA Igammac Imag Inv InvGrad Invert IsFinite IsInf IsNan
LeftShift Less LessEqual Lgamma LinSpace Log Log1p LogicalAnd LogicalNot LogicalOr MatMul Max
Maximum Mean Min Minimum Mod Mul MulNoNan Ndtri Neg NextAfter NotEqual Polygamma PopulationCount
Pow Prod RaggedBincount Range Real RealDiv Reciprocal ReciprocalGrad RightShift Rint Round Rsqrt
RsqrtGrad SegmentMax SegmentMaxV2 SegmentMean SegmentMin SegmentMinV2 SegmentProd SegmentProdV2
SegmentSum SegmentSumV2 Select SelectV2 Sigmoid SigmoidGrad Sign Sin Sinh SobolSample
SparseBincount SparseMatMul SparseSegmentMean SparseSegmentMeanGrad SparseSegmentMeanGradV2
SparseSegmentMeanWithNumSegments SparseSegmentSqrtN SparseSegmentSqrtNGrad
SparseSegmentSqrtNGradV2 SparseSegmentSqrtNWithNumSegments SparseSegmentSum SparseSegmentSumGrad
SparseSegmentSumGradV2 SparseSegmentSumWithNumSegments Spence Sqrt SqrtGrad Square
SquaredDifference Sub Sum Tan Tanh TanhGrad TruncateDiv TruncateMod UnsortedSegmentMax
UnsortedSegmentMin UnsortedSegmentProd UnsortedSegmentSum Xdivy Xlog1py Xlogy Zeta
# linear algebra and Fourier transforms
BandedTriangularSolve BatchCholesky BatchCholeskyGrad BatchFFT BatchFFT2D BatchFFT3D BatchIFFT
BatchIFFT2D BatchIFFT3D BatchMatrixDeterminant BatchMatrixInverse BatchMatrixSolve
BatchMatrixSolveLs BatchMatrixTriangularSolve BatchSelfAdjointEig BatchSelfAdjointEigV2 BatchSvd
Cholesky CholeskyGrad Eig Einsum FFT FFT2D FFT3D FFTND IFFT IFFT2D IFFT3D IFFTND IRFFT IRFFT2D
IRFFT3D IRFFTND LogMatrixDeterminant Lu MatrixDeterminant MatrixExponential MatrixInverse
MatrixLogarithm MatrixSolve MatrixSolveLs MatrixSquareRoot MatrixTriangularSolve Qr RFFT RFFT2D
RFFT3D RFFTND SelfAdjointEig SelfAdjointEigV2 Svd TridiagonalMatMul TridiagonalSolve
# arrays: shapes, indices, order
BatchMatrixBandPart BatchMatrixDiag BatchMatrixDiagPart BatchMatrixSetDiag BatchToSpace
BatchToSpaceND Bitcast BroadcastArgs BroadcastGradientArgs BroadcastTo Concat ConcatOffset
ConcatV2 ConjugateTranspose Const DenseCountSparseOutput DenseToDenseSetOperation
DenseToSparseSetOperation DepthToSpace Diag DiagPart DynamicPartition DynamicStitch EditDistance
EnsureShape ExpandDims ExtractImagePatches ExtractVolumePatches Fill Gather GatherNd GatherV2
Identity IdentityN InvertPermutation KMC2ChainInitialization KmeansPlusPlusInitialization
KthOrderStatistic ListDiff LowerBound MakeUnique MatrixBandPart MatrixDiag MatrixDiagPart
MatrixDiagPartV2 MatrixDiagPartV3 MatrixDiagV2 MatrixDiagV3 MatrixSetDiag MatrixSetDiagV2
MatrixSetDiagV3 MirrorPad MirrorPadGrad NearestNeighbors OneHot OnesLike Pack Pad PadV2
ParallelDynamicStitch Placeholder PlaceholderV2 PlaceholderWithDefault PreventGradient
RaggedCountSparseOutput RaggedCross RaggedFillEmptyRows RaggedFillEmptyRowsGrad RaggedGather
RaggedRange RaggedTensorToSparse RaggedTensorToTensor Rank Reshape Reverse ReverseSequence
ReverseV2 Roll ScatterNd ScatterNdNonAliasingAdd SetSize Shape ShapeN Size Slice Snapshot
SpaceToBatch SpaceToBatchND SpaceToDepth SparseCountSparseOutput SparseToSparseSetOperation Split
SplitV Squeeze StochasticCastToInt StopGradient StridedSlice StridedSliceGrad TensorScatterAdd
TensorScatterMax TensorScatterMin TensorScatterSub TensorScatterUpdate TensorStridedSliceUpdate
Tile TileGrad TopKUnique TopKWithUnique Transpose Unique UniqueV2 UniqueWithCounts
UniqueWithCountsV2 Unpack UnravelIndex UpperBound Where ZerosLike
# layers of networks
ApproxTopK AvgPool AvgPool3D AvgPool3DGrad AvgPoolGrad BatchNormWithGlobalNormalization
BatchNormWithGlobalNormalizationGrad BiasAdd BiasAddGrad BiasAddV1 BlockLSTM BlockLSTMGrad
BlockLSTMGradV2 BlockLSTMV2 CTCBeamSearchDecoder CTCGreedyDecoder CTCLoss CTCLossV2
ComputeAccidentalHits Conv Conv2D Conv2DBackpropFilter Conv2DBackpropFilterV2 Conv2DBackpropInput
Conv2DBackpropInputV2 Conv3D Conv3DBackpropFilter Conv3DBackpropFilterV2 Conv3DBackpropInput
Conv3DBackpropInputV2 CudnnRNN CudnnRNNBackprop CudnnRNNBackpropV2 CudnnRNNBackpropV3
CudnnRNNCanonicalToParams CudnnRNNCanonicalToParamsV2 CudnnRNNParamsSize
CudnnRNNParamsToCanonical CudnnRNNParamsToCanonicalV2 CudnnRNNV2 CudnnRNNV3 DataFormatDimMap
DataFormatVecPermute DepthwiseConv2dNative DepthwiseConv2dNativeBackpropFilter
DepthwiseConv2dNativeBackpropInput Dilation2D Dilation2DBackpropFilter Dilation2DBackpropInput
Elu EluGrad FractionalAvgPool FractionalAvgPoolGrad FractionalMaxPool FractionalMaxPoolGrad
FusedBatchNorm FusedBatchNormGrad FusedBatchNormGradV2 FusedBatchNormGradV3 FusedBatchNormV2
FusedBatchNormV3 FusedPadConv2D FusedResizeAndPadConv2D GRUBlockCell GRUBlockCellGrad InTopK
InTopKV2 IsotonicRegression L2Loss LRN LRNGrad LSTMBlockCell LSTMBlockCellGrad LeakyRelu
LeakyReluGrad LogSoftmax MaxPool MaxPool3D MaxPool3DGrad MaxPool3DGradGrad MaxPoolGrad
MaxPoolGradGrad MaxPoolGradGradV2 MaxPoolGradGradWithArgmax MaxPoolGradV2 MaxPoolGradWithArgmax
MaxPoolV2 MaxPoolWithArgmax NthElement Relu Relu6 Relu6Grad ReluGrad Selu SeluGrad Softmax
SoftmaxCrossEntropyWithLogits Softplus SoftplusGrad Softsign SoftsignGrad
SparseSoftmaxCrossEntropyWithLogits TopK TopKV2 _FusedBatchNormEx _FusedConv2D
_FusedDepthwiseConv2dNative _FusedMatMul
# images and sound, from memory to memory
AdjustContrast AdjustContrastv2 AdjustHue AdjustSaturation AudioMicrofrontend AudioSpectrogram
CombinedNonMaxSuppression CropAndResize CropAndResizeGradBoxes CropAndResizeGradImage
DrawBoundingBoxes DrawBoundingBoxesV2 ExtractGlimpse ExtractGlimpseV2
GenerateBoundingBoxProposals HSVToRGB ImageProjectiveTransformV2 ImageProjectiveTransformV3 Mfcc
NonMaxSuppression NonMaxSuppressionV2 NonMaxSuppressionV3 NonMaxSuppressionV4 NonMaxSuppressionV5
NonMaxSuppressionWithOverlaps RGBToHSV ResizeArea ResizeBicubic ResizeBicubicGrad ResizeBilinear
ResizeBilinearGrad ResizeNearestNeighbor ResizeNearestNeighborGrad ScaleAndTranslate
ScaleAndTranslateGrad StatelessSampleDistortedBoundingBox
# strings, and what is packed in them
AsString DecodeAndCropJpeg DecodeBase64 DecodeBmp DecodeCSV DecodeCompressed DecodeGif
DecodeImage DecodeJSONExample DecodeJpeg DecodeJxl DecodePaddedRaw DecodePng DecodeProtoV2
DecodeRaw DecodeWav DecodeWebP EncodeBase64 EncodeJpeg EncodeJpegVariableQuality EncodePng
EncodeProto EncodeWav ExtractJpegShape Fingerprint ParseExample ParseExampleV2
ParseSequenceExample ParseSequenceExampleV2 ParseSingleExample ParseSingleSequenceExample
ParseTensor ReduceJoin RegexFullMatch RegexReplace SerializeTensor ShardedFilename
StaticRegexFullMatch StaticRegexReplace StringFormat StringJoin StringLength StringLower
StringNGrams StringSplit StringSplitV2 StringStrip StringToHashBucket StringToHashBucketFast
StringToHashBucketStrong StringToNumber StringUpper Substr UnicodeDecode UnicodeDecodeWithOffsets
UnicodeEncode UnicodeScript UnicodeTranscode UnsortedSegmentJoin
# random numbers
AllCandidateSampler LearnedUnigramCandidateSampler LogUniformCandidateSampler Multinomial
NonDeterministicInts ParameterizedTruncatedNormal RandomCrop RandomGamma RandomGammaGrad
RandomIndexShuffle RandomPoisson RandomPoissonV2 RandomShuffle RandomStandardNormal RandomUniform
RandomUniformInt RngReadAndSkip RngSkip SampleDistortedBoundingBox SampleDistortedBoundingBoxV2
StatefulRandomBinomial StatefulStandardNormal StatefulStandardNormalV2 StatefulTruncatedNormal
StatefulUniform StatefulUniformFullInt StatefulUniformInt StatelessMultinomial
StatelessParameterizedTruncatedNormal StatelessRandomBinomial StatelessRandomGammaV2
StatelessRandomGammaV3 StatelessRandomGetAlg StatelessRandomGetKeyCounter
StatelessRandomGetKeyCounterAlg StatelessRandomNormal StatelessRandomNormalV2
StatelessRandomPoisson StatelessRandomUniform StatelessRandomUniformFullInt
StatelessRandomUniformFullIntV2 StatelessRandomUniformInt StatelessRandomUniformIntV2
StatelessRandomUniformV2 StatelessShuffle StatelessTruncatedNormal StatelessTruncatedNormalV2
ThreadUnsafeUnigramCandidateSampler TruncatedNormal UniformCandidateSampler
# control flow, calls, checks and words on the screen
Assert Case CheckNumerics CheckNumericsV2 ControlTrigger DeviceIndex Enter Exit FakeParam For
GuaranteeConst If LoopCond Merge NextIteration NoOp PartitionedCall Print PrintV2 RefEnter
RefExit RefIdentity RefMerge RefNextIteration RefSelect RefSwitch StatefulPartitionedCall
StatelessCase StatelessIf StatelessWhile Switch ToBool While
# lists, stacks and maps of tensors that live as long as a run
AddN CompositeTensorVariantFromComponents CompositeTensorVariantToComponents Conj EmptyTensorList
EmptyTensorMap RaggedTensorFromVariant RaggedTensorToVariant RaggedTensorToVariantGradient Stack
StackClose StackCloseV2 StackPop StackPopV2 StackPush StackPushV2 StackV2 TensorArray
TensorArrayClose TensorArrayCloseV2 TensorArrayCloseV3 TensorArrayConcat TensorArrayConcatV2
TensorArrayConcatV3 TensorArrayGather TensorArrayGatherV2 TensorArrayGatherV3 TensorArrayGrad
TensorArrayGradV2 TensorArrayGradV3 TensorArrayGradWithShape TensorArrayPack TensorArrayRead
TensorArrayReadV2 TensorArrayReadV3 TensorArrayScatter TensorArrayScatterV2 TensorArrayScatterV3
TensorArraySize TensorArraySizeV2 TensorArraySizeV3 TensorArraySplit TensorArraySplitV2
TensorArraySplitV3 TensorArrayUnpack TensorArrayV2 TensorArrayV3 TensorArrayWrite
TensorArrayWriteV2 TensorArrayWriteV3 TensorListConcat TensorListConcatLists TensorListConcatV2
TensorListElementShape TensorListFromTensor TensorListGather TensorListGetItem TensorListLength
TensorListPopBack TensorListPushBack TensorListPushBackBatch TensorListReserve TensorListResize
TensorListScatter TensorListScatterIntoExistingList TensorListScatterV2 TensorListSetItem
TensorListSplit TensorListStack TensorMapErase TensorMapHasKey TensorMapInsert TensorMapLookup
TensorMapSize TensorMapStackKeys
# sparse tensors and matrices
CSRSparseMatrixComponents CSRSparseMatrixToDense CSRSparseMatrixToSparseTensor
DenseToCSRSparseMatrix SerializeManySparse SerializeSparse SparseAdd SparseAddGrad SparseConcat
SparseCross SparseCrossHashed SparseCrossV2 SparseDenseCwiseAdd SparseDenseCwiseDiv
SparseDenseCwiseMul SparseFillEmptyRows SparseFillEmptyRowsGrad SparseMatrixAdd
SparseMatrixMatMul SparseMatrixMul SparseMatrixNNZ SparseMatrixOrderingAMD SparseMatrixSoftmax
SparseMatrixSoftmaxGrad SparseMatrixSparseCholesky SparseMatrixSparseMatMul SparseMatrixTranspose
SparseMatrixZeros SparseReduceMax SparseReduceMaxSparse SparseReduceSum SparseReduceSumSparse
SparseReorder SparseReshape SparseSlice SparseSliceGrad SparseSoftmax SparseSparseMaximum
SparseSparseMinimum SparseSplit SparseTensorDenseAdd SparseTensorDenseMatMul
SparseTensorToCSRSparseMatrix SparseToDense
# quantisation, which is refused later in words of its own
Dequantize FakeQuantWithMinMaxArgs FakeQuantWithMinMaxArgsGradient FakeQuantWithMinMaxVars
FakeQuantWithMinMaxVarsGradient FakeQuantWithMinMaxVarsPerChannel
FakeQuantWithMinMaxVarsPerChannelGradient QuantizeAndDequantize QuantizeAndDequantizeV2
QuantizeAndDequantizeV3 QuantizeAndDequantizeV4 QuantizeAndDequantizeV4Grad
QuantizeDownAndShrinkRange QuantizeV2 QuantizedAdd QuantizedAvgPool
QuantizedBatchNormWithGlobalNormalization QuantizedBiasAdd QuantizedConcat QuantizedConcatV2
QuantizedConv2D QuantizedConv2DAndRelu QuantizedConv2DAndReluAndRequantize
QuantizedConv2DAndRequantize QuantizedConv2DPerChannel QuantizedConv2DWithBias
QuantizedConv2DWithBiasAndRelu QuantizedConv2DWithBiasAndReluAndRequantize
QuantizedConv2DWithBiasAndRequantize QuantizedConv2DWithBiasSignedSumAndReluAndRequantize
QuantizedConv2DWithBiasSumAndRelu QuantizedConv2DWithBiasSumAndReluAndRequantize
QuantizedDepthwiseConv2D QuantizedDepthwiseConv2DWithBias QuantizedDepthwiseConv2DWithBiasAndRelu
QuantizedDepthwiseConv2DWithBiasAndReluAndRequantize QuantizedInstanceNorm QuantizedMatMul
QuantizedMatMulWithBias QuantizedMatMulWithBiasAndDequantize QuantizedMatMulWithBiasAndRelu
QuantizedMatMulWithBiasAndReluAndRequantize QuantizedMatMulWithBiasAndRequantize QuantizedMaxPool
QuantizedMul QuantizedRelu QuantizedRelu6 QuantizedReluX QuantizedReshape QuantizedResizeBilinear
RequantizationRange RequantizationRangePerChannel Requantize RequantizePerChannel
UniformDequantize UniformQuantize UniformQuantizedAdd UniformQuantizedClipByValue
UniformQuantizedConvolution UniformQuantizedConvolutionHybrid UniformQuantizedDot
UniformQuantizedDotHybrid UniformRequantize
# XLA, as far as it computes
XlaBroadcastHelper XlaConv XlaConvV2 XlaDot XlaDotV2 XlaDynamicSlice XlaDynamicUpdateSlice
XlaEinsum XlaGather XlaIf XlaKeyValueSort XlaOptimizationBarrier XlaPad XlaReduce
XlaReducePrecision XlaReduceWindow XlaRemoveDynamicDimensionSize XlaRngBitGenerator XlaScatter
XlaSelectAndScatter XlaSelfAdjointEig XlaSetBound XlaSetDynamicDimensionSize XlaSort XlaSvd
XlaVariadicReduce XlaVariadicReduceV2 XlaVariadicSort XlaWhile
# variables
ApplyAdaMax ApplyAdadelta ApplyAdagrad ApplyAdagradDA ApplyAdagradV2 ApplyAdam ApplyAddSign
ApplyCenteredRMSProp ApplyFtrl ApplyFtrlV2 ApplyGradientDescent ApplyMomentum ApplyPowerSign
ApplyProximalAdagrad ApplyProximalGradientDescent ApplyRMSProp Assign AssignAdd
AssignAddVariableOp AssignSub AssignSubVariableOp AssignVariableOp CountUpTo DisableCopyOnRead
IsVariableInitialized ReadVariableOp ResourceApplyAdaMax ResourceApplyAdadelta
ResourceApplyAdagrad ResourceApplyAdagradDA ResourceApplyAdagradV2 ResourceApplyAdam
ResourceApplyAdamWithAmsgrad ResourceApplyAddSign ResourceApplyCenteredRMSProp ResourceApplyFtrl
ResourceApplyFtrlV2 ResourceApplyGradientDescent ResourceApplyKerasMomentum ResourceApplyMomentum
ResourceApplyPowerSign ResourceApplyProximalAdagrad ResourceApplyProximalGradientDescent
ResourceApplyRMSProp ResourceCountUpTo ResourceGather ResourceGatherNd ResourceScatterAdd
ResourceScatterDiv ResourceScatterMax ResourceScatterMin ResourceScatterMul ResourceScatterNdAdd
ResourceScatterNdMax ResourceScatterNdMin ResourceScatterNdSub ResourceScatterNdUpdate
ResourceScatterSub ResourceScatterUpdate ResourceSparseApplyAdadelta ResourceSparseApplyAdagrad
ResourceSparseApplyAdagradDA ResourceSparseApplyAdagradV2 ResourceSparseApplyCenteredRMSProp
ResourceSparseApplyFtrl ResourceSparseApplyFtrlV2 ResourceSparseApplyKerasMomentum
ResourceSparseApplyMomentum ResourceSparseApplyProximalAdagrad
ResourceSparseApplyProximalGradientDescent ResourceSparseApplyRMSProp ResourceStridedSliceAssign
ScatterAdd ScatterDiv ScatterMax ScatterMin ScatterMul ScatterNdAdd ScatterNdMax ScatterNdMin
ScatterNdSub ScatterNdUpdate ScatterSub ScatterUpdate SparseApplyAdadelta SparseApplyAdagrad
SparseApplyAdagradDA SparseApplyAdagradV2 SparseApplyCenteredRMSProp SparseApplyFtrl
SparseApplyFtrlV2 SparseApplyMomentum SparseApplyProximalAdagrad
SparseApplyProximalGradientDescent SparseApplyRMSProp StridedSliceAssign VarHandleOp
VarIsInitializedOp Variable VariableShape VariableV2
# lookup tables
AnonymousHashTable AnonymousMutableDenseHashTable AnonymousMutableHashTable
AnonymousMutableHashTableOfTensors HashTable HashTableV2 InitializeTable InitializeTableV2
LookupTableExport LookupTableExportV2 LookupTableFind LookupTableFindV2 LookupTableImport
LookupTableImportV2 LookupTableInsert LookupTableInsertV2 LookupTableRemoveV2 LookupTableSize
LookupTableSizeV2 MutableDenseHashTable MutableDenseHashTableV2 MutableHashTable
MutableHashTableOfTensors MutableHashTableOfTensorsV2 MutableHashTableV2
# summaries as strings that are written nowhere
AudioSummary AudioSummaryV2 HistogramSummary ImageSummary MergeSummary ScalarSummary
TensorSummary TensorSummaryV2
"""
ALLOWED = frozenset(re.sub(r"#.*", "", _COMPUTING).split())

# Families, by what they are about.
_REFUSED = {
    "files": (
        r"ReadFile WriteFile MatchingFiles ImmutableConst (Save|Restore)(V2|Slices?)? "
        r"MergeV2Checkpoints DistributedSave ShardedFilespec DTensorRestoreV2 LoadAndRemapMatrix "
        r"GenerateVocabRemapping InitializeTableFromTextFile(V2)? InitializeTableFromDataset "
        r"FixedUnigramCandidateSampler Skipgram \w*Reader\w* RecordInput "
        r"FileSystemSetConfiguration CalibrationStatisticsSaver CustomAggregator"
    ),
    "programs in values, or code of the host": (
        r"(Eager)?PyFunc(Stateless)? MlirPassthroughOp RemoteCall SymbolicGradient MapDefun "
        r"BatchFunction XlaCallModule XlaCustomCall(V2)? XlaHostCompute XlaLaunch(V2)? Abort"
    ),
    "other computers or devices": (
        r"\w*Rpc\w* Collective\w* Nccl\w* DTensor\w* Send Recv "
        r"Xla\w*(Send|Recv|AllReduce|ReduceScatter|ReplicaId|ConcatND|SplitND|Spmd)\w* "
        r"XlaSharding XlaClusterOutput "
        r"Infeed\w* Outfeed\w* AllToAll CrossReplicaSum CopyToMesh(Grad)? Relayout(Like)? "
        r"WorkerHeartbeat SyncDevice"
    ),
    "datasets": (
        r"\w*Dataset\w* \w*Iterator\w* Optional\w* (Delete|Anonymous)?(Memory)?Cache\w* "
        r"(Anonymous|Delete|Dummy)(MemoryCache|(Random)?SeedGenerator) ListSnapshot\w* "
        r"GetElementAtIndex GetOptions (Unc|C)ompressElement StatsAggregator\w* "
        r"(Experimental)?(StatsAggregator|ThreadPool)\w* WindowOp ComputeBatchSize "
        r"DummyIterationCounter"
    ),
    "what outlives a run": (
        r"\w*(Queue|Accumulator)\w* Barrier\w* "
        r"(Ordered)?Map(Stage|Unstage|Peek|Size|IncompleteSize|Clear)\w* (Uns|S)tage\w* Mutex\w* "
        r"ConsumeMutexLock \w*SessionHandle\w* \w*SessionTensor DestroyResourceOp "
        r"(Destroy)?TemporaryVariable (Add|Take)\w*TensorsMap Batch Unbatch(Grad)? "
        r"Resource(CreateOp|InitializedOp|UsingOp) DeserializeSparse DeserializeManySparse "
        r"Inplace\w+ DeepCopy Empty ParallelConcat (Assign|Read)VariableXla\w+ "
        r"IsResourceHandleRefCounting MakeWeakResourceHandle CheckPinned"
    ),
    "logs and clocks": (
        r"\w*Summary(File|Db)?Writer Write\w*Summary ImportEvent Debug\w* DumpTensor "
        r"Copy(Host|Op)? Timestamp GetDeadline GraphDefVersion IsTensorFloat32Enabled Sleep\w*"
    ),
    "TPUs": (
        r"\w*T(PU|pu)\w* \w*(SparseCore|Embedding|Dedup|Minibatch|CooTensor)\w* XlaSparse\w* "
        r"GlobalIterId UpdateTaskId\w+ Prelinearize(Tuple)? XlaDequantize"
    ),
    "training": (r"\w*BoostedTrees\w* Sdca\w* NegTrain"),
    "the inside of TensorFlow": (
        r"_(?!Fused(Conv2D|MatMul|BatchNormEx|DepthwiseConv2dNative)$)\w+ "
        r"Risc\w+ A B Attr\w* Binary Unary None Old Simple Restrict "
        r"(Complex|Mixed|Simple)Struct ConstructionFails DefaultAttrs Dtype\w+ DevicePlacementOp "
        r"Fact Foo\d "
        r"(Five|Two|Ref|Int|Int64|Float|List|String)\w*(Input|Output|Attr|In|Out|Outputs|Inputs|Refs\w*) "
        r"TwoRefsIn N?InTwice N?InPolymorphicTwice NInTwoTypeVariables N(Ints|Polymorphic)\w+ "
        r"FuncAttr FuncListAttr HostConst KernelLabel\w* Namespace\W\w+ OpWith\w+ OutT "
        r"OutTypeList\w* Polymorphic\w* RefIn RefOut RequiresOlderGraphVersion Reserved\w+ "
        r"StubResourceHandleOp Test\w+ TypeList\w*"
    ),
}
REFUSED = {about: re.compile("|".join(names.split())) for about, names in _REFUSED.items()}


def about(operation: str) -> str | None:
    """What a refused operation is about; None where it is allowed, or nobody has decided.

    >>> about("ReadFile"), about("Relu")
    ('files', None)
    """
    if operation in ALLOWED:
        return None
    families = (name for name, names in REFUSED.items() if names.fullmatch(operation))
    return next(families, None)
