"""The text encoder of Grounding DINO, from files on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from mmdet.models.language_models.bert import generate_masks_with_special_tokens_and_transfer_map
from mmdet.registry import MODELS
from mmengine.model import BaseModel
from torch import Tensor, nn

#: What the folder must hold: the sizes of the network and the tokens. Weights come with the detector's checkpoint.
FILES = ('config.json', 'vocab.txt')
SPECIAL = ('[CLS]', '[SEP]', '.', '?')


class _Body(nn.Module):
    def __init__(self, config) -> None:
        from transformers import BertModel

        super().__init__()
        self.model = BertModel(config, add_pooling_layer=False)
        self.language_dim = config.hidden_size


@MODELS.register_module()
class FolderBert(BaseModel):
    """mmdet's ``BertModel`` with sub-sentence representation (tokens attend to those of their own phrase), whose
    network and tokens come from a folder: nothing is fetched.

    Args:
        name: A folder with `FILES` (of ``bert-base-uncased``).
        max_tokens: Longer captions are cut.

    Raises:
        FileNotFoundError: A file is missing; says where it is to be had.
        ImportError: The package transformers is missing.
    """

    pad_to_max = False

    def __init__(self, name: str, max_tokens: int = 256) -> None:
        super().__init__()
        missing = [file for file in FILES if not Path(name, file).is_file()]
        if missing:
            raise FileNotFoundError(
                f'{name}: no {" and ".join(missing)} in this folder: place those of bert-base-uncased there (from '
                'https://huggingface.co/google-bert/bert-base-uncased), or name another folder with --cfg-options '
                'model.language_model.name=FOLDER'
            )
        try:
            from transformers import BertConfig, BertTokenizerFast
        except ImportError as error:
            raise ImportError(
                f'Grounding DINO reads words with transformers: pip install transformers ({error})'
            ) from error
        self.tokenizer = BertTokenizerFast(str(Path(name, 'vocab.txt')), do_lower_case=True)
        self.max_tokens = max_tokens
        self.special_tokens = self.tokenizer.convert_tokens_to_ids(list(SPECIAL))
        self.language_backbone = nn.Sequential()
        self.language_backbone.body = _Body(BertConfig.from_json_file(str(Path(name, 'config.json'))))

    def forward(self, captions: Sequence[str], **kwargs) -> dict[str, Tensor]:
        """Of captions, ``embedded`` (B, T, D) and the masks and places of their tokens."""
        device = next(self.parameters()).device
        tokens = self.tokenizer(
            list(captions),
            max_length=self.max_tokens,
            padding='longest',
            truncation=True,
            return_tensors='pt',
        ).to(device)
        mask, places = generate_masks_with_special_tokens_and_transfer_map(tokens, self.special_tokens)
        model = self.language_backbone.body.model
        allowed = torch.zeros(mask.shape, device=device).masked_fill(~mask, torch.finfo(torch.float32).min)
        hidden = model(
            input_ids=tokens.input_ids,
            attention_mask=allowed[:, None],
            position_ids=places,
            token_type_ids=torch.zeros_like(tokens.input_ids),
        ).last_hidden_state
        return dict(
            embedded=hidden,
            masks=mask,
            hidden=hidden,
            position_ids=places,
            text_token_mask=tokens.attention_mask.bool(),
        )
