"""A SavedModel as something that can be explained: its graph, imported into the trace."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from gradcam.errors import ModelError
from gradcam.loading.saved_models import channels_last, layers, signatures
from gradcam.loading.saved_models.gradients import import_graph
from gradcam.trace import logits
from gradcam.trace.recording import Recording
from gradcam.trace.sources import InputSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gradcam.loading.saved_models.flattening import FlatGraph
    from gradcam.loading.saved_models.layers import LayerPlan
    from gradcam.loading.saved_models.signatures import Signature
    from gradcam.trace.recording import Call
    from gradcam.trace.watching import Watch


class SavedModelSource:
    """A signature of a SavedModel as a source.

    Args:
        name: the name of the model.
        specs: what its inputs take.
        signature: the signature.
        flat: its flat graph.
        values: variables and tables, by the tensor that the graph reads them from.
        plan: the layers of the graph.
    """

    def __init__(
        self,
        name: str,
        specs: list[InputSpec],
        signature: Signature,
        flat: FlatGraph,
        values: Mapping[str, Any],
        plan: LayerPlan,
    ) -> None:
        self.name = name
        self._specs = specs
        self._signature = signature
        self._graph_def = channels_last.moved(flat.graph_def)
        self._gradients = flat.gradients  # found by their operations, as long as they are here
        self._values = values
        self._plan = plan

    def specs(self) -> list[InputSpec]:
        """What the inputs take."""
        return self._specs

    def example_shapes(self) -> Any:
        """Shapes are in the specs."""
        return None

    def built_shape(self) -> tuple[int | None, ...] | None:
        """Shapes are in the specs."""
        return None

    def built_count(self) -> int | None:
        """Shapes are in the specs."""
        return None

    def record(
        self,
        inputs: list[tf.Tensor],
        structure: Any,
        calls: list[Call] | None = None,
        watch: Watch | None = None,
    ) -> Recording:
        """Import the graph into the one that is being traced, on these inputs."""
        del structure, watch  # no tape is told of what is imported
        ports = self._signature.inputs
        specs = {spec.name for spec in self._specs}
        taken = [port for port in ports if port.name in specs]
        given = {port.tensor: tensor for port, tensor in zip(taken, inputs, strict=True)}
        given |= {port.tensor: tf.constant(False) for port in ports if port.name not in specs}
        given |= self._captured(inputs[0].graph)
        wanted = [port.tensor for port in self._signature.outputs if port.tensor not in given]
        try:
            results = import_graph(self._graph_def, given, [*wanted, *self._anchor()], name="model")
        except (ValueError, tf.errors.OpError) as error:
            raise self._misfit(error, inputs) from error
        tensors = given | dict(zip(wanted, results, strict=False))
        graph = inputs[0].graph
        prefix = ""
        if self._anchor():
            prefix = results[-1].op.name.removesuffix(self._anchor()[0].rpartition(":")[0])
        found, makers = layers.calls(self._plan, graph, prefix, self.name)
        if calls is not None:
            calls.extend(found)
        outputs, nested = self._outputs(tensors, makers)
        names = [spec.name for spec in self._specs]
        return Recording(inputs, names, found, outputs, nested, makers, is_seen_by_tapes=False)

    def _anchor(self) -> list[str]:
        """A tensor of the graph, by which its place in the trace is known."""
        return [f"{node.name}:0" for node in self._graph_def.node[-1:]]

    def _captured(self, graph: Any) -> dict[str, tf.Tensor]:
        """Variables and tables as tensors of the graph."""
        captured = {}
        for name, value in self._values.items():
            is_reference = name in self._plan.references
            if is_reference:
                captured[name] = value.read_value()
            else:
                captured[name] = graph.capture(getattr(value, "handle", value))
        return captured

    def _outputs(
        self, tensors: Mapping[str, tf.Tensor], makers: Mapping[tf.Operation, Call]
    ) -> tuple[list[logits.ModelOutput], Any]:
        """The outputs that hold scores, and as the signature nests them."""
        for port in self._signature.outputs:
            # Shapes that Python knew, such as those of a table's values, are not in the graph.
            if tensors[port.tensor].shape.rank is None and port.shape is not None:
                tensors[port.tensor].set_shape(port.shape)
        found = {
            port.name: tensors[port.tensor]
            for port in self._signature.outputs
            if tensors[port.tensor].dtype.is_floating
        }
        if not found or any(tensor.shape.rank == 0 for tensor in found.values()):
            received = ", ".join(f"{port.name} ({port.dtype})" for port in self._signature.outputs)
            raise ModelError("returns-no-tensor", name=self.name, received=received)
        outputs = [logits.output_of(name, tensor) for name, tensor in found.items()]
        if len(found) == 1:
            return outputs, outputs[0].value
        if not signatures.is_listed(found):
            return outputs, found
        return _with_aliases(outputs, makers), list(found.values())

    def _misfit(self, error: Exception, inputs: list[tf.Tensor]) -> ModelError:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in inputs)
        reason = str(error).splitlines()[0].rstrip(".")[:300]
        return ModelError(
            "cannot-run",
            name=self.name,
            error=type(error).__name__,
            where=f"the signature '{self._signature.name}'",
            shapes=shapes,
            reason=reason,
        )


def _with_aliases(
    outputs: list[logits.ModelOutput], makers: Mapping[tf.Operation, Call]
) -> list[logits.ModelOutput]:
    """Outputs without names but numbers, also by the layers that make them, as Keras names them."""
    names = [_maker_name(output.value, makers) for output in outputs]
    return [
        replace(output, alias=name if names.count(name) == 1 else None)
        for output, name in zip(outputs, names, strict=True)
    ]


def _maker_name(tensor: tf.Tensor, makers: Mapping[tf.Operation, Call]) -> str | None:
    """The name of the outermost layer that makes a tensor, None where no layer does."""
    operation = tensor.op
    while operation not in makers and operation.type == "Identity":
        operation = operation.inputs[0].op
    call = makers.get(operation)
    while call is not None and call.parent is not None and call.parent.path:
        call = call.parent
    return call.name if call is not None and call.path else None
