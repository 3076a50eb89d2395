"""Describe results in the report format of Gemma-OCR: every sample with its label, prediction and scores, and the whole set's."""

from collections.abc import Iterable, Mapping

from ocrtune.evaluation.reader_scores import ReaderScores, Rules


def describe_results(references: Iterable[dict], predictions: Mapping[str, str], rules: Rules) -> dict:
    """Return the report of predictions, texts by page_id, against rows of a split with their images; a page without one is scored as empty.

    Scores are those of stage evaluate by the same rules: CER and character F1 of the whole set are pooled over its characters.
    The format has one name for every error rate, `overall_cer`; `measures` beside it says what that is, `CER` or, where any
    reference is a teacher's, `agreement with a teacher`, and `origins` counts whose texts the references are.
    """
    samples, scores = [], ReaderScores(rules)
    for row in references:
        prediction = predictions.get(row["page_id"])
        scored = scores.add(row, prediction or "", "error" if prediction is None else "stop")
        samples.append({"image_path": row["image"], "label": row["text"], "prediction": prediction or "",
                        "cer_score": scored["cer"], "f1_score": scored["char_f1"]})
    figures = scores.totals.summarize()
    return {"overall_cer": figures["cer"], "overall_f1": figures["char_f1"], "total_samples": len(samples),
            "measures": "agreement with a teacher" if "teacher" in figures["origins"] else "CER",
            "origins": figures["origins"], **rules._replace(has_structure=False).describe(), "samples": samples}
