"""The labelled text."""

from hosted_rerank.local.faq import Faq


def test_the_faq_has_172_questions_with_their_answers(faq: Faq) -> None:
    """Every entry has an id of its own, a question and an answer worth ranking."""
    assert len(faq.ids) == len(faq.questions) == len(faq.answers) == len(set(faq.ids)) == 172
    assert all(faq.questions)
    assert all(len(answer) >= 100 for answer in faq.answers)


def test_question_and_answer_belong_together(faq: Faq) -> None:
    """Ids are pages and anchors of the documentation."""
    number = faq.ids.index("programming#what-is-delegation")
    assert faq.questions[number] == "What is delegation?"
    assert faq.answers[number].startswith("Delegation is an object oriented technique")
