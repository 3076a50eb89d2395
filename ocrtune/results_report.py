"""Describe results in the report format of Gemma-OCR: every sample with its label, prediction and scores, and the whole set's."""

from collections.abc import Iterable, Mapping

from ocrtune.scores import score_page, summarize


def describe_results(references: Iterable[dict], predictions: Mapping[str, str], normalizer: str) -> dict:
    """Return the report of predictions, texts by page_id, against rows of a split with their images; a page without one is scored as empty.

    Scores are those of stage evaluate: CER and character F1 of the whole set are pooled over its characters.
    """
    samples, scored = [], []
    for row in references:
        prediction = predictions.get(row["page_id"], "")
        scores = score_page(row["text"], prediction, normalizer)
        scored.append({"doc_id": row["doc_id"], "origin": row["origin"], "finish_reason": "stop", **scores})
        samples.append({"image_path": row["image"], "label": row["text"], "prediction": prediction,
                        "cer_score": scores["cer"], "f1_score": scores["char_f1"]})
    figures = summarize(scored)
    return {"overall_cer": figures["cer"], "overall_f1": figures["char_f1"], "total_samples": len(samples), "samples": samples}

