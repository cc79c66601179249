"""Laws of the transformer."""

import torch

from agents.parameters import Affine
from agents.transformer import Transformer, linear


def make_transformer() -> Transformer:
    """Two layers of 32 with 2 heads over 8 steps, with weights large enough that attention is not flat."""
    generator = torch.Generator().manual_seed(0)
    transformer = Transformer(32, 2, 2, 8, generator)
    with torch.no_grad():
        for parameter in transformer.parameters():
            parameter.add_(torch.empty_like(parameter).normal_(0, 0.2, generator=generator))
    return transformer.requires_grad_(False)


def embeddings(batch: int) -> torch.Tensor:
    """(batch, 8, 32) random numbers."""
    return torch.randn(batch, 8, 32, generator=torch.Generator().manual_seed(1))


def test_a_later_step_changes_no_earlier_feature():
    transformer, x = make_transformer(), embeddings(2)
    before = transformer.forward(x)
    changed = x.clone()
    changed[:, 5] += 1.0
    after = transformer.forward(changed)
    assert torch.equal(before[:, :5], after[:, :5])
    assert (before[:, 5:] != after[:, 5:]).any(-1).all()


def test_position_matters():
    transformer, x = make_transformer(), embeddings(1)
    repeated = x[:, :1].expand(-1, 8, -1)
    features = transformer.forward(repeated)
    assert not torch.allclose(features[:, 0], features[:, 7], atol=1e-2)


def test_the_last_features_of_ragged_contexts_are_those_of_the_whole_pass():
    transformer, x, lengths = make_transformer(), embeddings(4), torch.tensor([1, 8, 3, 5])
    whole = transformer.forward(x)[torch.arange(4), lengths - 1]
    for row, length in enumerate(lengths.tolist()):
        x[row, length:] = 100.0  # what lies behind a context is not read
    torch.testing.assert_close(transformer.last(x, lengths), whole)


def test_reading_step_by_step_gives_the_features_of_the_whole_pass():
    transformer, x = make_transformer(), embeddings(3)
    cache, whole = transformer.cache(3), transformer.forward(x)
    for step in range(8):
        features = transformer.extend(x[:, step], torch.full((3,), step), cache)
        torch.testing.assert_close(features, whole[:, step])


def test_a_rebuilt_context_goes_on_where_a_whole_pass_would():
    transformer, x = make_transformer(), embeddings(3)
    cache = transformer.cache(3)
    for step in range(2):  # what is forgotten
        transformer.extend(x[:, 7], torch.full((3,), step), cache)
    transformer.rebuild(x[[0, 2], :4], torch.tensor([0, 2]), cache)
    features = transformer.extend(x[:, 4], torch.tensor([4, 2, 4]), cache)
    torch.testing.assert_close(features[[0, 2]], transformer.forward(x[[0, 2], :5])[:, 4])
    other = torch.stack((x[1, 7], x[1, 7], x[1, 4]))[None]
    torch.testing.assert_close(features[1], transformer.forward(other)[0, 2])


def test_a_large_layer_in_bfloat16_is_the_same_map_for_few_rows_and_many():
    layer = Affine(1024, 1024, generator=torch.Generator().manual_seed(0))
    x = torch.randn(200, 1024, generator=torch.Generator().manual_seed(1)).bfloat16()
    with torch.no_grad():
        exact = x.float() @ layer.weight.T + layer.bias
        for rows in (1, 3, 200):
            result = linear(x[:rows], layer)
            assert result.shape == (rows, 1024)
            torch.testing.assert_close(result.float(), exact[:rows], rtol=0.02, atol=0.02)
