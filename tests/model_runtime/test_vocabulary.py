import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer, GemmaTokenizer

from model_runtime.phantoms.dictation import PHRASES
from model_runtime.phantoms.wording import every_sentence
from model_runtime.training.vocabulary import FILLER, SIZE, build_tokenizer


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    directory = tmp_path_factory.mktemp("tokenizer")
    build_tokenizer().save_pretrained(directory)
    return AutoTokenizer.from_pretrained(directory, local_files_only=True)


def encode(tokenizer, text):
    return tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)


def test_it_is_of_the_real_checkpoint_s_kind(tokenizer):
    assert isinstance(tokenizer, GemmaTokenizer)
    assert len(tokenizer) == SIZE
    named = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    assert tokenizer.convert_tokens_to_ids(named) == [0, 1, 2, 3, 4]
    assert FILLER in tokenizer.all_special_tokens


# U+2581 is how a space is written inside, so that it comes back as one; surrogates are no text.
@given(st.text(st.characters(exclude_characters="\u2581", exclude_categories=["Cs"])))
def test_any_text_comes_back_unchanged(tokenizer, text):
    assert tokenizer.decode(encode(tokenizer, " " + text), clean_up_tokenization_spaces=False) == " " + text


@pytest.mark.parametrize(
    "text", [" 日本語 한글 😀🫁", " a\r\nb\tc", " <eos> <filler>", " e\u0301 |^~\\&", "   two  spaces "]
)
def test_odd_text_comes_back_unchanged(tokenizer, text):
    ids = encode(tokenizer, text)
    assert tokenizer.decode(ids, clean_up_tokenization_spaces=False) == text
    assert not set(ids) & set(tokenizer.all_special_ids)


def test_a_report_s_words_are_one_token_each(tokenizer):
    words = {word.strip(".,") for sentence in every_sentence() for word in sentence.split()}
    assert len(words) > 100
    assert [word for word in words if len(encode(tokenizer, " " + word)) != 1] == []


def test_phrases_encoded_one_by_one_are_the_text_encoded_whole(tokenizer):
    sentences = sorted(every_sentence())
    whole = encode(tokenizer, " " + " ".join(sentences))
    assert whole == [i for sentence in sentences for i in encode(tokenizer, " " + sentence)]


def test_ordinary_dictation_costs_few_tokens(tokenizer):
    words = sum(len(phrase.split()) for phrase in PHRASES)
    assert sum(len(encode(tokenizer, " " + phrase)) for phrase in PHRASES) < 1.5 * words
